"""Airflow connections, read from Secrets Manager where no Airflow is: in the container (R2.5)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from delivery.secret import Secret
from delivery.transfer.contract import DestinationUnavailable


def resolve(connection_id: str, prefix: str) -> Secret:
    """The connection ``<prefix>/<connection_id>``, as a JSON object or a URI, both as Airflow reads them.

    Raises :class:`DestinationUnavailable`; never quotes the secret.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    name = f"{prefix}/{connection_id}"
    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    except (BotoCoreError, ClientError, KeyError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        raise DestinationUnavailable(
            f"The container cannot read the secret {name!r} [{code}]. Expected the Airflow connection "
            f"{connection_id!r} there; the task's role needs secretsmanager:GetSecretValue on it."
        ) from None
    try:
        fields = json.loads(text) if text.lstrip().startswith("{") else _of_uri(text.strip())
        extra = fields.get("extra") or {}
        extra = json.loads(extra) if isinstance(extra, str) else extra
        return Secret(connection_id, fields.get("login"), fields.get("password"), extra)
    except (ValueError, AttributeError, TypeError) as error:
        raise DestinationUnavailable(
            f"The secret {name!r} cannot be read ({type(error).__name__}). Expected a connection URI or a JSON object "
            "as Airflow describes it."
        ) from None


def _of_uri(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    if not parts.scheme:
        raise ValueError("no URI")
    extra: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "__extra__" in extra:
        extra = json.loads(extra["__extra__"])
    return {
        "login": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password) if parts.password else None,
        "extra": extra,
    }
