"""How messages leave Airflow: SES by its connection, channels by its hooks, and links into its UI."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk.configuration import conf

from client_delivery.operators.ses import ses_of
from client_delivery.run.addressees import Post

if TYPE_CHECKING:
    from client_delivery.config.notify import NotifyRule
    from client_delivery.ledger.life import RunRef
    from client_delivery.notify.brief import Brief
    from client_delivery.operators.base import DeliveryOperator
    from client_delivery.run.context import Run


def post_of(task: DeliveryOperator, run: Run) -> Post:
    """SES by Airflow's connection, channels by Airflow's hooks, and the pages of runs and of the client's files."""
    base_url, name = conf.get("api", "base_url", fallback="").rstrip("/"), run.config.name

    def run_url(of: RunRef) -> str | None:
        return f"{base_url}/dags/{of.dag_id or name}/runs/{quote(of.run_id)}" if base_url else None

    return Post(
        ses=lambda: ses_of(run.settings.ses_connection_id),
        run_url=run_url,
        deliveries_url=f"{base_url}/dags/{name}/plugin/deliveries-of-client" if base_url else None,
        to_channel=_to_channel,
        alarm=task.alarm,
    )


def _to_channel(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    # Imported here: only the tasks of clients whose rules name a channel pay for its client library.
    from client_delivery.operators.channels import send

    send(rule, brief, seconds)
