"""What Airflow's plugin loader finds: the Deliveries page, in its navigation and as tabs of DAGs and runs (R10).

Airflow imports this in every component, the scheduler and each worker included, so it is cheap until a page is asked
for: the application is built when the web server mounts it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

_VIEWS = (
    ("Deliveries", "nav", "deliveries", "deliveries/"),
    ("Deliveries", "dag", "deliveries-of-client", "deliveries/clients/{DAG_ID}"),
    ("Deliveries", "dag_run", "deliveries-of-run", "deliveries/runs/{DAG_ID}?run_id={RUN_ID}"),
)


class _OnDemand:
    """The application, imported with the first request: its packages cost a second that only the web server owes."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._app is None:
            from client_delivery.web.application import application

            self._app = application()
        await self._app(scope, receive, send)


class DeliveriesPage(AirflowPlugin):
    """Registers the page."""

    name = "deliveries"
    fastapi_apps: ClassVar[list[Any]] = [{"app": _OnDemand(), "url_prefix": "/deliveries", "name": "Deliveries"}]
    # Without a slash before them the addresses hold behind a path prefix as well: Airflow's page has a base element.
    external_views: ClassVar[list[Any]] = [
        {"name": name, "destination": destination, "url_route": route, "href": href}
        for name, destination, route, href in _VIEWS
    ]
