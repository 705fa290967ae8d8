"""A real Airflow on this machine: scheduler, DAG processor, API server and triggerer, on SQLite.

The demo and the system tests run the product in it, and talk to it as the UI does: through the REST API.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from local.ports import free_port

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")


class Airflow:
    """Airflow's four components in their own processes, under ``directory``."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        port: int | None = None,
        dags: Path = ROOT / "dags",
        plugins: Path = ROOT / "plugins",
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(plugins), str(ROOT)]),
            "AIRFLOW_HOME": str(directory),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{directory}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(directory / "logs"),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **environment,
        }

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.run("db", "migrate")
        for component in _COMPONENTS:
            self.start(component)
        self.wait_until(self._healthy, "Airflow's components are healthy", seconds=180)
        return self

    def __exit__(self, *exc: object) -> None:
        for name in reversed(list(self._processes)):
            self.stop(name)

    def run(self, *command: str) -> str:
        """Run one ``airflow`` command to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def start(self, component: str) -> None:
        """Start one component; its output goes to a file of its name."""
        log = (self.directory / f"{component}.log").open("ab")
        self._processes[component] = subprocess.Popen(
            [sys.executable, "-m", "airflow", component],
            env=self._environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pid(self, component: str) -> int:
        """The component's process id."""
        return self._processes[component].pid

    def stop(self, component: str, *, kill: bool = False) -> None:
        """End one component and all its children; ``kill`` gives them no chance to clean up."""
        process = self._processes.pop(component)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # -- the REST API, as the UI uses it -----------------------------------------------------------------------------

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        """One call of Airflow's public API; returns the decoded answer."""
        answer = httpx.request(method, f"{self.url}/api/v2{path}", headers=self._authorization(), timeout=30, **kwargs)
        if answer.is_error:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:1000]}")
        return answer.json() if answer.content else None

    def dags(self) -> dict[str, dict[str, Any]]:
        """The DAGs that Airflow knows, by id."""
        return {dag["dag_id"]: dag for dag in self.api("GET", "/dags", params={"limit": 1000})["dags"]}

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Trigger a run with these parameters of the form; returns the run's id."""
        run_id: str = self.api("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})[
            "dag_run_id"
        ]
        return run_id

    def dag_run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """One DAG run."""
        answer: dict[str, Any] = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return answer

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
        answer = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 1000})
        return list(answer["task_instances"])

    def clear(self, dag_id: str, run_id: str, task_id: str | None = None) -> None:
        """Clear a whole run, or one of its tasks with everything downstream, as the UI's button does."""
        if task_id is None:
            self.api("POST", f"/dags/{dag_id}/dagRuns/{run_id}/clear", json={"dry_run": False, "only_failed": False})
            return
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
        answer = self.api(
            "GET",
            f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
        )
        content = answer["content"]
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
        """Ask until the answer is true; an Airflow that died meanwhile, or the end of time, is an error."""
        deadline = time.monotonic() + seconds
        while True:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    tail = (self.directory / f"{name}.log").read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"Airflow's {name} ended with {process.returncode}:\n{tail}")
            with contextlib.suppress(httpx.TransportError):
                if answer := condition():
                    return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not within {seconds:.0f} s: {what}")
            time.sleep(0.5)

    def _healthy(self) -> bool:
        health = self.api("GET", "/monitor/health")
        return all(
            health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "triggerer", "dag_processor")
        )

    def _authorization(self) -> dict[str, str]:
        if not hasattr(self, "_token"):
            answer = httpx.get(f"{self.url}/auth/token", timeout=30)
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self._token}"}
