"""The mail service, by Airflow's connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from client_delivery.access.aws import ses_client

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient


def ses_of(connection_id: str) -> SESClient:
    """SES as that connection has it; each call is made once."""
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
