"""The page's requests to Airflow: which clients' DAGs a user may see, what they may do, and to begin a run.

Reading goes by the auth manager, acting by Airflow's public REST API, called in this very process with the user's own
credentials: whatever Airflow refuses, the page refuses. Nothing here is written to Airflow's database directly.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import HTTPException, Request

if TYPE_CHECKING:
    from httpx import Response
    from starlette.types import ASGIApp

TAG = "client-delivery"
"""The tag of every client's DAG."""
PAUSED = "paused"
"""The tag of a DAG that its configuration pauses."""
ON_ARRIVAL = "on-arrival"
"""The tag of a DAG whose runs also start when something has come."""
_FORWARDED = ("cookie", "authorization")
_EVENTS = {
    "trigger_dag_run": "triggered a run",
    "clear_dag_run": "cleared a run",
    "post_clear_task_instances": "cleared tasks",
    "patch_dag_run": "marked a run, or added a note to it",
    "patch_task_instance": "marked a task",
    "delete_dag_run": "deleted a run",
    "patch_dag": "paused or unpaused the DAG",
}
"""Events of Airflow's REST API (3.2.1): the names of its endpoints."""


@dataclass(frozen=True, slots=True)
class Dag:
    """A client's DAG, as Airflow has it."""

    dag_id: str
    tags: frozenset[str] = frozenset()
    paused: bool = False
    next_run: str | None = None
    description: str = ""

    @property
    def delivery_key(self) -> str:
        """The client's number, with its feed; empty for a file that is wrong."""
        return next((tag for tag in sorted(self.tags) if tag[:1] == "H" and tag[1:2].isdigit()), "")


@dataclass(frozen=True, slots=True)
class Happened:
    """Something in Airflow's own log of events."""

    at: str
    what: str
    run_id: str = ""
    by: str | None = None


class Refused(Exception):
    """Airflow refused a request. The message says why."""


class Airflow:
    """The Airflow around this process."""

    async def user(self, request: Request) -> Any:
        """Who asks. Raises HTTPException 401 or 403."""
        from airflow.api_fastapi.core_api.security import get_user, oauth2_scheme

        if found := getattr(request.state, "user", None):
            return found
        token = await oauth2_scheme(request)
        return await get_user(request, oauth_token=token, bearer_credentials=None)

    def dags(self, user: Any, *, only: Collection[str] | None = None) -> dict[str, Dag]:
        """The clients' DAGs that the user may read; ``only`` those of these ids."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.models.dag import DagModel, DagTag
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            columns = (DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after, DagModel.description)
            query = select(*columns).where(DagModel.tags.any(DagTag.name == TAG), ~DagModel.is_stale)
            tags_query = select(DagTag.dag_id, DagTag.name)
            if only is not None:
                query, tags_query = query.where(DagModel.dag_id.in_(only)), tags_query.where(DagTag.dag_id.in_(only))
            rows = session.execute(query).all()
            tags: dict[str, set[str]] = {}
            for dag_id, name in session.execute(tags_query):
                tags.setdefault(dag_id, set()).add(name)
            may = get_auth_manager().get_authorized_dag_ids(user=user, method="GET", session=session)
        return {
            dag_id: Dag(
                dag_id,
                frozenset(tags.get(dag_id, ())),
                bool(paused),
                next_run.isoformat() if next_run else None,
                description or "",
            )
            for dag_id, paused, next_run, description in rows
            if dag_id in may
        }

    def may_trigger(self, user: Any, dag_id: str) -> bool:
        """Whether the user may begin a run of the DAG."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

        return get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=dag_id), user=user
        )

    def may_pause(self, user: Any, dag_id: str) -> bool:
        """Whether the user may change the DAG."""
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails

        return get_auth_manager().is_authorized_dag(method="PUT", details=DagDetails(id=dag_id), user=user)

    def name_of(self, user: Any) -> str:
        """As Airflow's log of events has it."""
        return str(user.get_name())

    async def trigger(self, request: Request, dag_id: str, conf: dict[str, Any], note: str) -> str:
        """Begin a run as the user who asks; returns its id. Raises :class:`Refused`, or HTTPException 401 or 403."""
        response = await _call(
            request, "POST", f"{_dag(dag_id)}/dagRuns", json={"logical_date": None, "conf": conf, "note": note}
        )
        if response.status_code in (401, 403):
            raise HTTPException(response.status_code, "Airflow does not let you trigger this DAG.")
        if response.is_error:
            raise Refused(f"Airflow did not start the run ({response.status_code}): {response.text[:500]}")
        return str(response.json()["dag_run_id"])

    async def pause(self, request: Request, dag_id: str, *, paused: bool) -> None:
        """Pause or unpause the DAG as the user who asks. Raises :class:`Refused`, or HTTPException 401 or 403."""
        response = await _call(request, "PATCH", _dag(dag_id), json={"is_paused": paused})
        if response.status_code in (401, 403):
            raise HTTPException(response.status_code, "Airflow does not let you pause this DAG.")
        if response.is_error:
            raise Refused(f"Airflow refused ({response.status_code}): {response.text[:500]}")

    async def runs_under_way(self, request: Request, dag_id: str) -> int:
        """How many runs of the DAG are not over. Raises :class:`Refused`."""
        query = {"state": ["queued", "running"], "limit": 1}
        response = await _call(request, "GET", f"{_dag(dag_id)}/dagRuns", params=query)
        if response.is_error:
            raise Refused(f"Airflow does not say whether a run is under way ({response.status_code}).")
        return int(response.json()["total_entries"])

    async def words(self, request: Request, dag_id: str) -> str:
        """The DAG's documentation, Markdown: the configuration in words, or what is wrong with it."""
        response = await _call(request, "GET", f"{_dag(dag_id)}/details")
        return "" if response.is_error else str(response.json().get("doc_md") or "")

    async def events(self, request: Request, dag_id: str) -> list[Happened]:
        """What people did to the DAG and its runs, newest first, as far as Airflow knows and the user may read."""
        query = {"dag_id": dag_id, "order_by": "-when", "limit": 100, "included_events": list(_EVENTS)}
        response = await _call(request, "GET", "/api/v2/eventLogs", params=query)
        if response.is_error:
            return []
        return [
            Happened(one["when"], _EVENTS[one["event"]], one.get("run_id") or "", one.get("owner"))
            for one in response.json()["event_logs"]
            if one["event"] in _EVENTS
        ]


def _dag(dag_id: str) -> str:
    return f"/api/v2/dags/{quote(dag_id, safe='')}"


async def _call(request: Request, method: str, path: str, **what: Any) -> Response:
    """Ask Airflow's public REST API, in this very process, with the credentials of who asks."""
    import httpx

    app: ASGIApp = request.scope["airflow_app"]
    headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
    # Airflow notes a run with a referrer as triggered in the UI.
    headers["referer"] = str(request.base_url)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url=str(request.base_url.replace(path="")), timeout=30
    ) as client:
        return await client.request(method, path, headers=headers, **what)
