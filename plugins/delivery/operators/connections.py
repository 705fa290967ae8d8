"""From an Airflow connection id to the one shape of credential that the engine knows (R2.5)."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from delivery.secret import Secret
from delivery.transfer.contract import DestinationUnavailable


def resolve(connection_id: str) -> Secret:
    """Look the connection up where Airflow does: environment, secrets backend, metadata database.

    Everything that could be a credential in it is masked in the logs from here on. Raises
    :class:`DestinationUnavailable` if there is no such connection or it cannot be read.
    """
    try:
        connection = Connection.get(connection_id)
        extra = connection.extra_dejson
    except AirflowNotFoundException:
        raise DestinationUnavailable(
            f"There is no Airflow connection {connection_id!r}. Expected it in Secrets Manager as "
            f"airflow/connections/{connection_id}, or under Admin > Connections; the configuration names it in "
            "destination.connection_id."
        ) from None
    except Exception as error:
        # The parser's message may quote the secret: say only what kind of error it was.
        raise DestinationUnavailable(
            f"The Airflow connection {connection_id!r} cannot be read ({type(error).__name__}): its secret is "
            "malformed or access to it is denied. Expected a connection URI or a JSON object as Airflow describes it."
        ) from None
    for value in (connection.password, *extra.values()):
        if value:
            mask_secret(value)
    return Secret(connection_id, connection.login, connection.password, extra)
