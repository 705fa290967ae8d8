"""Airflow as its UI uses it: through the REST API."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

T = TypeVar("T")


class AirflowApi:
    """An Airflow that runs somewhere; with a password, or without where everybody is admin."""

    def __init__(self, url: str, username: str = "", password: str = "") -> None:
        self.url = url
        self._login = {"username": username, "password": password} if username else None
        self._token = ""

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        """One call of Airflow's public API; returns the decoded response."""
        response = httpx.request(
            method, f"{self.url}/api/v2{path}", headers=self._authorization(), timeout=30, **kwargs
        )
        if response.is_error:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text[:1000]}")
        return response.json() if response.content else None

    def dags(self) -> dict[str, dict[str, Any]]:
        """The DAGs that Airflow knows, by id."""
        return {dag["dag_id"]: dag for dag in self.all("/dags", "dags")}

    def all(self, path: str, what: str, **params: Any) -> list[dict[str, Any]]:
        """All of a list, however long: Airflow gives a hundred at a time."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.api("GET", path, params={**params, "limit": 100, "offset": len(found)})
            found += page[what]
            if not page[what] or len(found) >= page["total_entries"]:
                return found

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Trigger a run with these parameters of the form; returns the run's id."""
        run_id: str = self.api("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})[
            "dag_run_id"
        ]
        return run_id

    def dag_run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One DAG run."""
        response: dict[str, Any] = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return response

    def finished_run(self, dag_id: str, run_id: str, seconds: float = 240) -> str:
        """Wait until the run is over; returns its state."""
        return str(
            self.wait_until(
                lambda: state if (state := self.dag_run(dag_id, run_id)["state"]) in ("success", "failed") else None,
                f"{dag_id} {run_id} is over",
                seconds=seconds,
            )
        )

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run."""
        return self.all(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances")

    def asset_events(self) -> list[dict[str, Any]]:
        """What DAGs have told of assets."""
        return self.all("/assets/events", "asset_events")

    def mark_failed(self, dag_id: str, run_id: str) -> None:
        """Mark a run as failed, as the run's menu in the UI does."""
        self.api("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": "failed"})

    def clear_run(self, dag_id: str, run_id: str, *, only_failed: bool = False) -> None:
        """Clear a whole run, or those of its tasks that failed, as the run's button in the UI does."""
        body = {"dry_run": False, "only_failed": only_failed}
        self.api("POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", json=body)

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task with everything downstream, as the task's button in the UI does."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "only_failed": False,
            "include_downstream": True,
            "reset_dag_runs": True,
        }
        self.api("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, try_number: int = 1) -> str:
        """A task's log as the UI shows it, one line per event."""
        response = self.api(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
        )
        content = response["content"]
        return (
            content
            if isinstance(content, str)
            else "\n".join(
                str(line.get("event", ""))
                + "".join(f" {key}={value}" for key, value in line.items() if key in ("error_detail",))
                for line in content
            )
        )

    def wait_until(self, condition: Callable[[], T], what: str, *, seconds: float) -> T:
        """Ask until the result is true. Raises TimeoutError, which says ``what`` did not come."""
        deadline = time.monotonic() + seconds
        while True:
            self.check_alive()
            with contextlib.suppress(httpx.TransportError):
                if result := condition():
                    return result
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not within {seconds:.0f} s: {what}")
            time.sleep(0.5)

    def check_alive(self) -> None:
        """Raise RuntimeError if waiting is in vain."""

    def healthy(self) -> bool:
        """Whether all components are."""
        health = self.api("GET", "/monitor/health")
        return all(
            health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
        )

    def _authorization(self) -> dict[str, str]:
        if not self._token:
            url = f"{self.url}/auth/token"
            response = httpx.post(url, json=self._login, timeout=30) if self._login else httpx.get(url, timeout=30)
            response.raise_for_status()
            self._token = response.json()["access_token"]
        return {"Authorization": f"Bearer {self._token}"}
