"""Google credentials from an Airflow connection, in every form in which people store them (R2.2, R2.5).

The fields are those of Airflow's own Google connection. What only makes sense on somebody's own machine (a path, a
program, a personal login) is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.gcs.federation import GoogleHosts, UnusableFile, federated
from client_delivery.transfer.pem import UnusableKey, described, is_private_key, private_key_lines, unwrapped
from client_delivery.transfer.secret import field_of, parsed, shown_name

if TYPE_CHECKING:
    from client_delivery.transfer.secret import Secret

_SCOPES: Final = ("https://www.googleapis.com/auth/devstorage.read_write",)
_PREFIXES: Final = ("google_cloud_platform",)
_KEY_ID: Final = re.compile("[0-9a-f]{8,64}")
_FILES: Final = ("keyfile_dict", "credential_config_file")
_TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
_ACCEPTED: Final = (
    "Expected the extra 'keyfile_dict' with Google's JSON file unchanged, as an object or as text: a "
    "service-account key, or a workload-identity-federation configuration."
)
_REFUSED_FIELDS: Final = {
    "key_path": "a path, which does not exist on a worker or in a container: store the file's content as "
    "'keyfile_dict'",
    "key_secret_name": "a secret in Google's Secret Manager, which would need another credential to read",
    "idp_issuer_url": "an identity provider that needs a client secret, which is not supported",
    "is_anonymous": "anonymous access, which cannot write",
}
_REFUSED_TYPES: Final = {
    "authorized_user": "a person's own login. Have a service account or workload identity federation set up",
    "external_account_authorized_user": "a person's own login. Have workload identity federation set up",
    "gdch_service_account": "for Google Distributed Cloud",
}


def credentials_from(secret: Secret, endpoint: str = "") -> Any:
    """Credentials that renew themselves. Raises :class:`DestinationUnavailable`; never quotes the secret.

    :param endpoint: where Cloud Storage is; only a host there or one of Google's is ever asked for a token.
    """
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials = _of_file(_file(secret), GoogleHosts(endpoint))
        chain = _chain(secret)
        return _impersonated(credentials, chain) if chain else credentials
    except UnusableFile as error:
        found = str(error)
    except (GoogleAuthError, ValueError, TypeError, KeyError, AttributeError) as error:
        # google-auth's message may quote the text that it cannot read.
        found = f"Google's own library refuses it ({type(error).__name__})"
    raise DestinationUnavailable(
        f"The Airflow connection {secret.connection_id!r} holds no usable Google credential: {found}. {_ACCEPTED}"
    ) from None


def key_id_of(secret: Secret) -> str | None:
    """What Google calls the service account's key; None if the connection has no such key, or does not say.

    It is no secret, but whatever does not look like one is not passed on. Raises
    :class:`DestinationUnavailable`.
    """
    try:
        info = _file(secret)
        if info.get("type") == "impersonated_service_account":
            info = _mapping(info.get("source_credentials"), "its 'source_credentials'")
    except UnusableFile as error:
        raise DestinationUnavailable(
            f"The Airflow connection {secret.connection_id!r} holds no usable Google credential: {error}. {_ACCEPTED}"
        ) from None
    found = info.get("private_key_id")
    return found if isinstance(found, str) and _KEY_ID.fullmatch(found) else None


def _file(secret: Secret) -> Mapping[str, Any]:
    """Google's JSON file, wherever in the connection it was put."""
    for name in _FILES:
        value = field_of(secret.extra, [name], _PREFIXES)
        if value is not None:
            return _mapping(value, f"its {name!r}")
    if {"type", "private_key"} <= secret.extra.keys() or {"type", "audience"} <= secret.extra.keys():
        return secret.extra  # the file was stored as the extra itself
    if secret.password and isinstance(info := parsed(secret.password), dict):
        return info
    for name, why in _REFUSED_FIELDS.items():
        if field_of(secret.extra, [name], _PREFIXES):
            raise UnusableFile(f"its {name!r} is {why}")
    raise UnusableFile(f"it has {secret.outline}")


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    info = value
    if isinstance(value, str):
        info = parsed(value) if value.lstrip("\ufeff \n\r\t")[:1] in ("{", '"') else _from_base64(value)
        if info is None:
            kind = "broken JSON" if value.lstrip()[:1] == "{" else _kind(value)
            raise UnusableFile(f"{what} is {kind}")
    if not isinstance(info, dict):
        raise UnusableFile(f"{what} is not a JSON object but of the type {type(info).__name__}")
    return info


def _from_base64(text: str) -> Any | None:
    import base64
    import binascii

    try:
        return parsed(base64.b64decode("".join(text.split()), validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return None


def _kind(text: str) -> str:
    try:
        kind = described(unwrapped(text))
    except UnusableKey:
        kind = "broken Base64"
    if is_private_key(text):
        return f"{kind} alone: the whole JSON file is needed, because it names the account"
    return kind.replace("that is not a private key", "that is not JSON").replace("the key's text", "the file's content")


def _of_file(info: Mapping[str, Any], hosts: GoogleHosts) -> Any:
    hosts.require_universe(info.get("universe_domain"))
    kind = info.get("type")
    if kind is None and {"client_email", "private_key"} <= info.keys():
        kind = "service_account"  # somebody kept what seemed to matter
    match kind:
        case "service_account":
            return _service_account(info, hosts)
        case "external_account":
            return federated(info, hosts).with_scopes(_SCOPES)
        case "impersonated_service_account":
            source = _of_file(_mapping(info.get("source_credentials"), "its 'source_credentials'"), hosts)
            target = str(info.get("service_account_impersonation_url", ""))
            hosts.require(target, "service_account_impersonation_url")
            account = target.rpartition("/")[2].partition(":")[0]
            return _impersonated(source, [*map(_account, info.get("delegates") or ()), account])
    if kind in _REFUSED_TYPES:
        raise UnusableFile(f"its file is of the type {kind!r}, {_REFUSED_TYPES[str(kind)]}")
    if {"web", "installed"} & info.keys():
        raise UnusableFile("its file is an OAuth client, with which a person would log in")
    names = ", ".join(sorted(map(shown_name, info))[:12]) or "none"
    raise UnusableFile(
        f"its file's type is neither 'service_account' nor 'external_account'; the file's fields are {names}"
    )


def _service_account(info: Mapping[str, Any], hosts: GoogleHosts) -> Any:
    from google.oauth2 import service_account

    if missing := [name for name in ("client_email", "private_key") if not info.get(name)]:
        raise UnusableFile(f"its service-account key lacks {' and '.join(map(repr, missing))}")
    token_uri = str(info.get("token_uri") or _TOKEN_URI)
    hosts.require(token_uri, "token_uri")
    try:
        key = private_key_lines(str(info["private_key"]))
    except UnusableKey as error:
        raise UnusableFile(f"the 'private_key' in its service-account key cannot be read: {error}") from None
    try:
        return service_account.Credentials.from_service_account_info(
            {**info, "private_key": key, "token_uri": token_uri}, scopes=_SCOPES
        )
    except (ValueError, TypeError):
        raise UnusableFile("the 'private_key' in its service-account key is cut or damaged") from None


def _chain(secret: Secret) -> list[str]:
    """The accounts to act as, one through the other; the last one is the one that delivers."""
    chain = field_of(secret.extra, ["impersonation_chain"], _PREFIXES)
    if isinstance(chain, str):
        chain = parsed(chain) if chain.lstrip().startswith("[") else chain.split(",")
    if chain is None:
        return []
    if not isinstance(chain, list) or not all(isinstance(one, str) and one.strip() for one in chain):
        raise UnusableFile("its 'impersonation_chain' is not a list of service accounts")
    return [_account(one.strip()) for one in chain]


def _account(name: str) -> str:
    account = name.rpartition("/")[2]  # projects/-/serviceAccounts/<e-mail>, as some of Google's files have it
    if not account.isascii() or account.count("@") != 1 or len(account) > 200 or " " in account:
        raise UnusableFile("a service account that it names is not an e-mail address")
    return account


def _impersonated(source: Any, chain: list[str]) -> Any:
    from google.auth import impersonated_credentials

    return impersonated_credentials.Credentials(
        source_credentials=source, target_principal=chain[-1], target_scopes=list(_SCOPES), delegates=chain[:-1]
    )
