"""How messages leave Airflow: SES by its connection, channels by its hooks, and links into its UI."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import Connection
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowNotFoundException

from client_delivery.access.aws import ses_client
from client_delivery.operators.base import DeliveryOperator
from client_delivery.run import acknowledgements, keys
from client_delivery.run.addressees import Post
from client_delivery.run.expected import look
from client_delivery.run.mails import send_what_is_left

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

    from client_delivery.config.notify import NotifyRule
    from client_delivery.ledger.entry import RunRef
    from client_delivery.notify.brief import Brief
    from client_delivery.run.context import Run


def look_for_late(task: DeliveryOperator, run: Run, *, delivered: bool) -> None:
    """At the end of a run: report expected files that have not come (R7), keys that end soon and missing
    acknowledgements, raise the client's alarms, and send the messages that earlier runs could not."""
    if look(run, lambda: post_of(task, run), delivered=delivered):
        task.alarm("files_overdue")
    if keys.look(run, lambda: post_of(task, run)):
        task.alarm("key_expires")
    if acknowledgements.look(run, lambda: post_of(task, run), delivered=delivered):
        task.alarm("not_acknowledged")
    send_what_is_left(run, post_of(task, run))


def post_of(task: DeliveryOperator, run: Run) -> Post:
    """SES by Airflow's connection, channels by Airflow's hooks, and the pages of runs and of the client's files."""
    base_url, name = conf.get("api", "base_url", fallback="").rstrip("/"), run.config.name

    def run_url(of: RunRef) -> str | None:
        return f"{base_url}/dags/{of.dag_id or name}/runs/{quote(of.run_id)}" if base_url else None

    return Post(
        ses=lambda: _ses(run.settings.ses_connection_id),
        run_url=run_url,
        deliveries_url=f"{base_url}/dags/{name}/plugin/deliveries-of-client" if base_url else None,
        to_channel=_to_channel,
        alarm=task.alarm,
    )


def _to_channel(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    # Imported here: only the tasks of clients whose rules name a channel pay for its client library.
    from client_delivery.operators.channels import send

    send(rule, brief, seconds)


def _ses(connection_id: str) -> SESClient:
    connection = _connection(connection_id)
    if connection is None or _is_plain(connection):
        # Airflow's hook would do the same after seconds of CPU: it asks for the hooks of all providers.
        return ses_client((connection.extra_dejson if connection else {}).get("region_name"))
    from airflow.providers.amazon.aws.hooks.ses import SesHook
    from botocore.config import Config

    # One call and no more: a call whose response was lost may have sent the e-mail (R7.2). Airflow retries the
    # rest. It responds in a second or does not: no task waits longer than this for it.
    config = Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 1})
    client: SESClient = SesHook(aws_conn_id=connection_id, config=config).get_conn()
    return client


def _connection(connection_id: str) -> Connection | None:
    """The connection; None if there is none, which stands for this environment's own identity, as for Airflow's hooks
    (``AwsGenericHook.conn_config``)."""
    try:
        found: Connection = Connection.get(connection_id)
    except AirflowNotFoundException:
        return None
    return found


def _is_plain(connection: Connection) -> bool:
    """Whether the connection says no more than perhaps a region."""
    says = (connection.login, connection.password, connection.host, connection.schema, connection.port)
    return not any(says) and set(connection.extra_dejson) <= {"region_name"}
