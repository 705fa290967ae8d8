"""What an Airflow connection holds, in every form in which one is stored: one reader for worker and container (R2.5).

MWAA knows three forms in Secrets Manager: a URI, a JSON object with Airflow's names, and the console's key/value pairs,
a JSON object with many names for the same thing. Beside these, people store what a partner gave them unchanged:
Google's JSON file, or a private key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from client_delivery.transfer.pem import UnusableKey, described, is_private_key, unwrapped
from client_delivery.transfer.secret import Secret, parsed, shown_name

Words = Mapping[str, Sequence[str]]
"""More names for a connection's parts, as ``extra_conn_words`` of Airflow's backend for Secrets Manager has them."""

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "login": ("login", "user", "username", "user_name"),
    "password": ("password", "pass", "key"),
    "extra": ("extra",),
}
"""The names that Airflow's backend for Secrets Manager takes for each part (amazon provider 9.25)."""
_OTHER_PARTS: Final = frozenset(
    {"conn_type", "conn_id", "connection_type", "engine", "host", "remote_host", "server", "port", "database", "schema"}
)
CREDENTIALS: Final = frozenset(
    {
        *("private_key", "private_key_passphrase", "passphrase", "private_key_pass", "key_file"),
        *("keyfile_dict", "credential_config_file", "key_path", "key_secret_name", "impersonation_chain"),
        *("idp_issuer_url", "is_anonymous"),
    }
)
"""Fields of ``extra`` that are also taken from beside it: where key/value pairs are stored, people put them there."""
_PREFIX = re.compile("extra__(ssh|sftp|google_cloud_platform)__")
_GOOGLE_FILE = frozenset({"type", "web", "installed"})
_UNENCODED = (
    "It begins like a URI, but a special character in its user name or password is not encoded: '#' is %23 there, '/' "
    "%2F, '?' %3F, '@' %40, '[' %5B."
)
_ACCEPTED: Final = (
    "Expected one of: a connection URI; a JSON object with the names of an Airflow connection (login, password, "
    "extra) or their synonyms; Google's JSON file, unchanged; a private key, unchanged."
)


class UnreadableConnection(ValueError):
    """The text is not a connection. The message says what it is and what is accepted, and never quotes it."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found} {_ACCEPTED}")


def read_connection(connection_id: str, text: str, words: Words | None = None) -> Secret:
    """The connection that ``text`` describes. Raises :class:`UnreadableConnection`."""
    text = text.replace("\ufeff", "").strip()
    if is_private_key(text):
        return Secret(connection_id, extra={"private_key": text})
    if text.startswith(("{", "[", '"')):
        fields = _object(text, "The secret")
        if _GOOGLE_FILE & fields.keys() and not _OTHER_PARTS & fields.keys():
            return Secret(connection_id, extra={"keyfile_dict": fields})
        return _of_fields(connection_id, fields, words or {})
    return _of_uri(connection_id, text)


def read_parts(connection_id: str, login: str | None, password: str | None, extra: object) -> Secret:
    """The connection of which Airflow knows these parts. Raises :class:`UnreadableConnection`."""
    return Secret(connection_id, login or None, password or None, _extra(extra))


def _of_fields(connection_id: str, fields: Mapping[str, Any], words: Words) -> Secret:
    names = {
        part: (*known, *words.get(part, ()), *(words.get("user", ()) if part == "login" else ()))
        for part, known in _WORDS.items()
    }
    # As Airflow: the first of the object's fields that has one of the names.
    found = {part: next((value for name, value in fields.items() if name in names[part]), None) for part in names}
    beside = {name: value for name, value in fields.items() if name in CREDENTIALS or _PREFIX.match(name)}
    extra = {**beside, **_extra(found["extra"])}
    login, password = (_text(part, found[part]) for part in ("login", "password"))
    if not (login or password or extra or _OTHER_PARTS & fields.keys()):
        listed = ", ".join(sorted(map(shown_name, fields))[:12]) or "none"
        raise UnreadableConnection(f"It is a JSON object without any field of a connection; its fields are {listed}.")
    return Secret(connection_id, login, password, extra)


def _text(part: str, value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool | int | float):
        return str(value)  # an account that is called 4711
    if isinstance(value, str):
        return value
    if part == "password" and isinstance(value, dict):
        return json.dumps(value)  # Google's file, in the place of a password
    raise UnreadableConnection(f"Its {part} is of the type {type(value).__name__}, not text.")


def _of_uri(connection_id: str, text: str) -> Secret:
    # Airflow's names of types have underscores, which no scheme of a URI may have; people write them nevertheless.
    scheme, found, rest = text.partition("://")
    if not found or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+._-]{0,60}", scheme):
        raise UnreadableConnection(f"It is {_kind(text)}.")
    try:
        parts = urlsplit(f"{scheme.replace('_', '-')}://{rest}")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        login, password = parts.username, parts.password
    except ValueError:
        raise UnreadableConnection(_UNENCODED) from None
    if parts.fragment or ("@" in parts.path and "@" not in parts.netloc):
        raise UnreadableConnection(_UNENCODED)
    return Secret(
        connection_id,
        unquote(login) if login else None,
        unquote(password) if password else None,
        _extra(query.get("__extra__", query)),
    )


def _extra(value: object) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        return _object(value, "Its extra")
    if isinstance(value, dict):
        return value
    raise UnreadableConnection(f"Its extra is of the type {type(value).__name__}, not a JSON object.")


def _object(text: str, what: str) -> dict[str, Any]:
    value = parsed(text)
    if isinstance(value, dict):
        return value
    found = f"{_kind(text)}" if value is None else f"JSON of the type {type(value).__name__}"
    raise UnreadableConnection(f"{what} is {found}, not a JSON object.")


def _kind(text: str) -> str:
    if text.startswith(("{", "[")):
        return f"broken JSON of {len(text)} characters"
    try:
        kind = described(unwrapped(text))
    except UnusableKey:
        kind = "broken Base64"
    return kind.replace("that is not a private key", "that is neither JSON nor a URI nor a key")
