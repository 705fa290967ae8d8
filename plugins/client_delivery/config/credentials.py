"""No credential in a configuration (R2.5): found by the field's name, or by what the value looks like."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from client_delivery.config.document import Document, FieldPath
from client_delivery.config.problem import looks_like_credential

_NAMES = frozenset({"auth", "cert", "certificate", "key", "pass", "pem", "ppk", "pwd", "pw", "sas"})
_NAME_PARTS = re.compile(
    "password|passwd|passphrase|secret|token|credential|privatekey|accesskey|apikey|keyfile|keyjson|sshkey"
    "|serviceaccount|keydata|identityfile"
)


def refuse_credentials(document: Document) -> None:
    """Report every credential in ``document``, by name of its field only, and mark those fields as dealt with."""
    reported = len(document.problems)
    _search(document, document.data, ())
    if len(document.problems) == reported:
        document.report_credential_place()  # in a comment


@lru_cache(maxsize=1024)
def is_credential_name(name: str) -> bool:
    """Whether a field of this name would hold a credential: ``password``, ``Secret-Key``, ``keyfile_json``."""
    letters = re.sub("[^a-z0-9]", "", name.lower())
    return letters in _NAMES or _NAME_PARTS.search(letters) is not None


def _search(document: Document, value: Any, path: FieldPath) -> None:
    if path and isinstance(path[-1], str):
        if is_credential_name(path[-1]):
            _refuse(document, path, "a field for a credential")
            return
        if looks_like_credential(path[-1]):
            _refuse(document, path, "what looks like a credential instead of a field's name")
            return
    if isinstance(value, dict):
        for name, item in value.items():
            _search(document, item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _search(document, item, (*path, index))
    elif isinstance(value, str) and looks_like_credential(value):
        _refuse(document, path, "what looks like a credential")


def _refuse(document: Document, path: FieldPath, found: str) -> None:
    document.refused.add(path)
    document.report(path, found, "no credential in this file", _where_it_belongs(document.data, path))


def _where_it_belongs(data: dict[str, Any], path: FieldPath) -> str:
    if path[0] == "encrypt":
        return (
            "Only public keys belong here (`gpg --armor --export`). Our own signing key is kept in Secrets "
            "Manager, as the connection that `sign_with` names. If a file with a private key was shared or "
            "committed, the key's owner must revoke it."
        )
    destination = data.get("destination")
    kind = destination.get("type") if isinstance(destination, dict) else None
    if path[0] == "pickup" or (path[0] == "destination" and kind == "s3"):
        return "S3 is reached by IAM roles: name the role in `role_arn`, or leave it out to use the environment's own."
    connection_id = destination.get("connection_id") if isinstance(destination, dict) else None
    if not isinstance(connection_id, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", connection_id):
        connection_id = "<connection_id>"
    return (
        f"Store it in Secrets Manager as the Airflow connection `airflow/connections/{connection_id}`,"
        f" and write only `connection_id: {connection_id}` here."
    )
