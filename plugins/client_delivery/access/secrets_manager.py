"""Airflow connections where MWAA keeps them: read from Secrets Manager, by worker and container in the same way (R2.5).

Temporary trouble (throttling, no connection to the service) is distinguished from a secret that is missing or refused:
only the latter is a reason to change anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client_delivery.access.aws import no_region, passes, secrets_manager_client
from client_delivery.access.connection import UnreadableConnection, Words, read_connection
from client_delivery.transfer.contract import DestinationUnavailable

if TYPE_CHECKING:
    from client_delivery.transfer.secret import Secret


class NoSecret(DestinationUnavailable):
    """There is no such secret, or this role may not read it. Another place may have the connection."""


def read_secret(connection_id: str, prefix: str, words: Words | None = None, *, region: str | None = None) -> Secret:
    """The connection that is kept as ``<prefix>/<connection_id>``.

    :param words: more names for a connection's parts, as Airflow's backend was told (``extra_conn_words``).

    Raises :class:`NoSecret`, or :class:`DestinationUnavailable` for an unreadable secret or temporary
    trouble; no message quotes the secret.
    """
    name = f"{prefix}/{connection_id}" if prefix else connection_id
    text = _text(name, region)
    try:
        return read_connection(connection_id, text, words)
    except UnreadableConnection as error:
        raise DestinationUnavailable(f"The secret {name!r} in Secrets Manager cannot be read: {error}") from None


def _text(name: str, region: str | None) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        value = secrets_manager_client(region).get_secret_value(SecretId=name)
    except ClientError as error:
        raise _refused(name, error) from None
    except BotoCoreError as error:
        raise DestinationUnavailable(no_region(error) or _unreachable(name, type(error).__name__)) from None
    # `aws secretsmanager create-secret --secret-binary` stores bytes.
    return value["SecretString"] if "SecretString" in value else value["SecretBinary"].decode(errors="replace")


_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "DecryptionFailure", "KMSAccessDeniedException"})


def _refused(name: str, error: Any) -> DestinationUnavailable:
    code = str(error.response["Error"]["Code"])
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = str(error.response["Error"].get("Message", ""))
    if code == "ResourceNotFoundException":
        return NoSecret(
            f"There is no secret {name!r} in Secrets Manager. Store the destination's credential there, in this "
            "account and region."
        )
    if code in _DENIED:
        return NoSecret(
            f"The secret {name!r} in Secrets Manager may not be read [{code}]. The role of the worker or the container "
            "needs secretsmanager:GetSecretValue on it; a secret encrypted with a key of your own needs kms:Decrypt on "
            "that key as well: leave it at the default, aws/secretsmanager."
        )
    if code == "InvalidRequestException" and "deletion" in said:
        return NoSecret(
            f"The secret {name!r} in Secrets Manager is marked for deletion. Restore it (aws secretsmanager "
            "restore-secret), or store another one when it is gone."
        )
    if code in ("ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"):
        return DestinationUnavailable(
            f"AWS refuses the identity that asked for the secret {name!r} [{code}]. The secret is not the cause; "
            "the next attempt asks with new credentials."
        )
    if passes(code, status):
        return DestinationUnavailable(_unreachable(name, code))
    return DestinationUnavailable(f"Secrets Manager refuses to return the secret {name!r}: [{code}].")


def _unreachable(name: str, code: str) -> str:
    return (
        f"Secrets Manager cannot provide the secret {name!r} at the moment [{code}]: it is overloaded or "
        "unreachable. The secret is not the cause; the next attempt asks again."
    )
