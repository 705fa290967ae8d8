"""The Deliveries page: server-rendered pages inside Airflow's web server (R10, docs/decisions/0026).

Airflow does not protect a plugin's endpoints: each of them asks :class:`~client_delivery.web.access.Airflow` who comes
and what they may see. Nothing is written to disk, and nothing is asked but the ledger and Airflow itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException as AnyHTTPException

from client_delivery.web.access import Airflow
from client_delivery.web.data import Data
from client_delivery.web.pages import HERE, Pages, signed_in
from client_delivery.web.routes import acts, board, client, file

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATIC = {"page.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}


def application(airflow: Airflow | None = None, data: Callable[[], Data] = Data) -> ASGIApp:
    """What Airflow mounts."""
    pages = Pages(airflow or Airflow(), data)
    # Every endpoint, also the style sheet, is for those who are signed in.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(signed_in)])
    app.state.airflow = pages.airflow
    app.middleware("http")(_with_headers)
    for part in (board, client, file, acts):
        app.include_router(part.router(pages))

    @app.exception_handler(AnyHTTPException)
    async def refusal(request: Request, error: AnyHTTPException) -> Response:
        return pages.html(request, "refusal.html", error.status_code, error=error)

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in _STATIC:
            raise HTTPException(404, "There is no such file.")
        return Response((HERE / "static" / name).read_bytes(), media_type=_STATIC[name])

    return _Mounted(app)


class _Mounted:
    """Remembers the application around it, for Airflow's own API is called there."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["airflow_app"] = scope.get("app")
        await self.app(scope, receive, send)


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
