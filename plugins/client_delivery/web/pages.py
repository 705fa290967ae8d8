"""What all pages share: who asks, which clients they may see, the templates, and tables to download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from client_delivery.notify.csv_table import csv_table
from client_delivery.web import progress, shown
from client_delivery.web.access import Airflow, Dag
from client_delivery.web.actions import ACTIONS, Action
from client_delivery.web.data import Data
from client_delivery.web.standing import Row, State, rows

PREFIX = "/deliveries"
"""Where Airflow mounts the page."""
HERE = Path(__file__).parent

Words = Annotated[str, Query(max_length=2_000)]


async def signed_in(request: Request) -> Any:
    """Who asks. Raises HTTPException 401 or 403."""
    return await request.app.state.airflow.user(request)


def _question(
    status: Annotated[str, Query(pattern="^(success|fail|dismissed)?$")] = "",
    since: Words = "",
    until: Words = "",
    begins: Words = "",
    after: Words = "",
) -> dict[str, str]:
    return {"status": status, "since": since, "until": until, "begins": begins, "after": after}


User = Annotated[Any, Depends(signed_in)]
Question = Annotated[dict[str, str], Depends(_question)]


class Pages:
    """One application's pages.

    :param data: gives each request its view of the ledger.
    """

    def __init__(self, airflow: Airflow, data: Callable[[], Data]) -> None:
        self.airflow = airflow
        self.data = data
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            # An unknown name in a template is an error, not an empty text: a button would act on nothing.
            undefined=StrictUndefined,
        )
        self._templates.globals.update(shown=shown, State=State, PREFIX=PREFIX, progress=progress)

    def html(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page, from its template."""
        base = request.scope.get("root_path", "")
        text = self._templates.get_template(template).render(
            base=base, airflow=base.removesuffix(PREFIX), urlencode=urlencode, **values
        )
        # A lone surrogate in a name has no UTF-8.
        return HTMLResponse(text.encode(errors="backslashreplace"), status)

    def rows(self, user: Any) -> list[Row]:
        """How all clients stand that the user may see."""
        return rows(self.airflow.dags(user).values(), self.data().standings())

    def dag(self, user: Any, name: str) -> Dag:
        """A client's DAG. Raises HTTPException 404, the same whether it does not exist or the user may not see it."""
        dag = self.airflow.dags(user, only=[name]).get(name)
        if dag is None:
            raise HTTPException(404, "There is no such client, or you may not see it.")
        return dag

    def key(self, dag: Dag, data: Data | None = None) -> str:
        """The client's delivery key; empty if nobody knows it."""
        return dag.delivery_key or (data or self.data()).standing(dag.dag_id).delivery_key

    def actions(self, user: Any, name: str) -> dict[str, Action]:
        """The buttons that the user has for a client."""
        return ACTIONS if self.airflow.may_trigger(user, name) else {}


def table(kind: str, name: str, found: Sequence[dict[str, Any]]) -> Response:
    """CSV that a spreadsheet shows and does not compute, or JSON. Raises HTTPException 404 for anything else."""
    if kind == "json":
        return JSONResponse(found)
    if kind != "csv":
        raise HTTPException(404, "Only CSV and JSON are available.")
    header = list(found[0]) if found else []
    body, _ = csv_table(header, [[str(value) if value is not None else "" for value in one.values()] for one in found])
    safe = "".join(char for char in name if char.isascii() and (char.isalnum() or char in "_-"))
    headers = {"Content-Disposition": f'attachment; filename="{safe}.csv"'}
    return Response(body, media_type="text/csv; charset=utf-8", headers=headers)
