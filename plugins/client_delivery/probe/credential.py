"""Where a person's machine has a credential: a file, the environment, or Secrets Manager, in this order (R2.5)."""

from __future__ import annotations

import os
from pathlib import Path

from client_delivery.access.connection import UnreadableConnection, read_connection
from client_delivery.access.secrets_manager import NoSecret, read_secret
from client_delivery.probe.trial import Found
from client_delivery.runtime.settings import setting
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.secret import Secret

_MOST_BYTES = 64 * 1024
"""What Secrets Manager takes for one secret."""


def credential_on_this_machine(connection_id: str, file: Path | None) -> Found:
    """The credential of a connection id.

    :param file: holds what Secrets Manager would hold: a URI, JSON, Google's file, or a private key.

    Raises :class:`DestinationUnavailable`, which says where the credential was sought and never quotes it.
    """
    if file is not None:
        return Found(_read(connection_id, _content(file), f"the file {file}"), f"the file {file}")
    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    if text := os.environ.get(variable):
        return Found(_read(connection_id, text, f"the variable {variable}"), f"the variable {variable}")
    prefix = setting("connections_prefix")
    try:
        return Found(read_secret(connection_id, prefix), f"Secrets Manager, {prefix}/{connection_id}")
    except NoSecret as error:
        raise DestinationUnavailable(_nowhere(connection_id, variable, str(error))) from None
    except DestinationUnavailable as error:
        if "cannot be read" in str(error):
            raise
        raise DestinationUnavailable(_nowhere(connection_id, variable, str(error))) from None


def _content(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_BYTES).decode(errors="replace")
    except OSError as error:
        raise DestinationUnavailable(f"The file {file} cannot be read: {error.strerror}.") from None


def _read(connection_id: str, text: str, where: str) -> Secret:
    try:
        return read_connection(connection_id, text)
    except UnreadableConnection as error:
        raise DestinationUnavailable(f"The content of {where} cannot be read: {error}") from None


def _nowhere(connection_id: str, variable: str, refusal: str) -> str:
    return (
        f"There is no credential for {connection_id!r} here. Give a file with CREDENTIAL=…, or set the variable "
        f"{variable}, or log in to AWS. {refusal}"
    )
