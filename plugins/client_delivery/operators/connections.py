"""From an Airflow connection id to the one shape of credential that the engine knows (R2.5).

What is in Secrets Manager is read by the container's reader, so that both understand the same. Airflow itself would
call a throttled or refused secret "not defined", and drops what its backend does not know.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from airflow.configuration import conf
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from client_delivery.access.connection import CREDENTIALS, UnreadableConnection, read_connection, read_parts
from client_delivery.access.secrets_manager import NoSecret, read_secret
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.secret import Secret

_BACKEND = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"


def secret_of(connection_id: str) -> Secret:
    """Look the connection up where Airflow does: secrets backend, environment, metadata database.

    Everything that could be a credential in it is masked in the logs from here on. Raises
    :class:`DestinationUnavailable` if there is no such connection or it cannot be read.
    """
    try:
        secret = _in_secrets_manager(connection_id)
        refusal = None
    except NoSecret as error:
        secret, refusal = None, error
    secret = secret or _in_airflow(connection_id, refusal)
    _mask(secret)
    return secret


def _in_secrets_manager(connection_id: str) -> Secret | None:
    """None if Airflow does not look there. Raises :class:`NoSecret`."""
    options = _backend_options()
    if options is None or (prefix := options.get("connections_prefix", "airflow/connections")) is None:
        return None
    pattern = options.get("connections_lookup_pattern")
    if pattern and not re.match(pattern, connection_id, re.IGNORECASE):
        return None
    words, region = options.get("extra_conn_words"), options.get("region_name")
    return read_secret(connection_id, prefix.rstrip("/"), words, region=region)


def _backend_options() -> dict[str, Any] | None:
    """With what Airflow's backend for Secrets Manager was configured; None if it is not Airflow's backend."""
    for section, name in (("workers", "secrets_backend"), ("secrets", "backend")):
        if backend := conf.get(section, name, fallback=""):
            return json.loads(conf.get(section, f"{name}_kwargs", fallback="") or "{}") if backend == _BACKEND else None
    return None


def _in_airflow(connection_id: str, refusal: NoSecret | None) -> Secret:
    try:
        if text := os.environ.get(f"AIRFLOW_CONN_{connection_id.upper()}"):
            return read_connection(connection_id, text)
        connection = Connection.get(connection_id)
        return read_parts(connection_id, connection.login, connection.password, connection.extra)
    except AirflowNotFoundException:
        if refusal is not None:
            raise DestinationUnavailable(
                f"There is no Airflow connection {connection_id!r}, which the configuration names in "
                f"destination.connection_id. {refusal}"
            ) from None
        raise DestinationUnavailable(
            f"There is no Airflow connection {connection_id!r}. Expected it in Secrets Manager as "
            f"airflow/connections/{connection_id}, or under Admin > Connections; the configuration names it in "
            "destination.connection_id."
        ) from None
    except UnreadableConnection as error:
        raise DestinationUnavailable(f"The Airflow connection {connection_id!r} cannot be read: {error}") from None
    except Exception as error:
        # The parser's message may quote the secret: say only what kind of error it was.
        raise DestinationUnavailable(
            f"The Airflow connection {connection_id!r} cannot be read ({type(error).__name__}): its secret is "
            "malformed or access to it is denied. Expected a connection URI or a JSON object as Airflow describes it."
        ) from None


def _mask(secret: Secret) -> None:
    if secret.password:
        mask_secret(secret.password)
    for name, value in secret.extra.items():
        if isinstance(value, str | dict):
            # By its name Airflow decides what to mask; what we know to be a credential is masked whatever its name.
            mask_secret(value, None if name.rpartition("__")[2] in CREDENTIALS else name)
