"""What to log in with, from an Airflow connection in whatever form it was stored (R2.3, R2.5)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.pem import UnusableKey, is_private_key, is_putty, private_key_lines, unwrapped
from client_delivery.transfer.secret import field_of

if TYPE_CHECKING:
    from client_delivery.transfer.secret import Secret

KEY_FIELDS: Final = ("private_key",)
PASSPHRASE_FIELDS: Final = ("private_key_passphrase", "passphrase", "private_key_pass")
"""The names that Airflow's SSH and SFTP hooks have had for it."""
_KINDS: Final = ("ssh", "sftp")
_ACCEPTED = (
    "Expected a password, or the extra 'private_key' with the text of a private key (OpenSSH, PEM, PKCS #8 or "
    "PuTTY) and, if it has a passphrase, 'private_key_passphrase'."
)


def password_of(secret: Secret) -> str | None:
    """The password, byte for byte; None if there is none, or if it is a private key."""
    return None if is_private_key(secret.password) else secret.password or None


def private_key_of(secret: Secret) -> Any | None:
    """The private key, for libssh; None if the connection has none.

    Raises :class:`DestinationUnavailable`, which says what was found instead and never quotes it.
    """
    text = _field(secret.extra, KEY_FIELDS)
    where = "extra 'private_key'"
    if text is None and is_private_key(secret.password):
        text, where = secret.password, "password"
    if text is None:
        return None
    # With a key that is encrypted the password is nearly always its passphrase; a wrong one opens nothing.
    passphrases = [_field(secret.extra, PASSPHRASE_FIELDS), password_of(secret)]
    try:
        return _imported(text, [str(one) for one in passphrases if one not in (None, "")])
    except UnusableKey as error:
        raise DestinationUnavailable(
            f"The private key in the {where} of the Airflow connection {secret.connection_id!r} cannot be read: "
            f"{error}. {_ACCEPTED}"
        ) from None


def public_key_of(secret: Secret) -> str | None:
    """``<type> <base64>`` of the private key's public half, to be sent to a partner; None if there is no key.

    Raises as :func:`private_key_of` does.
    """
    key = private_key_of(secret)
    if key is None:
        return None
    found = key.export_privkey_to_pubkey().export_pubkey_base64()
    encoded = found.decode() if isinstance(found, bytes) else str(found)
    blob = base64.b64decode(encoded)
    return f"{blob[4 : 4 + int.from_bytes(blob[:4], 'big')].decode('ascii', 'replace')} {encoded}"


def nothing_to_log_in_with(secret: Secret) -> DestinationUnavailable:
    """For a connection that has neither a password nor a private key: what it has instead, by name."""
    if _field(secret.extra, ("key_file",)):
        return DestinationUnavailable(
            f"The Airflow connection {secret.connection_id!r} names a 'key_file', which does not exist on a worker "
            f"or in a container: store the key's text instead. {_ACCEPTED}"
        )
    return DestinationUnavailable(
        f"The Airflow connection {secret.connection_id!r} has neither a password nor the extra 'private_key'; it has "
        f"{secret.outline}. {_ACCEPTED}"
    )


def _field(extra: Mapping[str, Any], names: tuple[str, ...]) -> Any | None:
    return field_of(extra, names, _KINDS)


def _imported(text: object, passphrases: list[str]) -> Any:
    if not isinstance(text, str):
        raise UnusableKey(f"it is not text but of type {type(text).__name__}")
    plain = unwrapped(text)
    if is_putty(plain):
        return _libssh(_first_that_opens(plain, passphrases), "")
    pem = private_key_lines(plain)
    for passphrase in passphrases if is_encrypted(pem) else [""]:
        try:
            return _libssh(pem, passphrase)
        except UnusableKey:
            continue
    if not is_encrypted(pem):
        raise UnusableKey(
            "it begins and ends like a private key, but its content is truncated, damaged or of an unknown type"
        )
    if not passphrases:
        raise UnusableKey("it is encrypted, and no passphrase is given")
    raise UnusableKey("it is encrypted, and the passphrase does not open it")


def _first_that_opens(plain: str, passphrases: list[str]) -> str:
    from client_delivery.transfer.sftp.putty import from_putty  # 7 MiB of cryptography that nobody else needs

    for passphrase in passphrases[:-1]:
        try:
            return from_putty(plain, passphrase)
        except UnusableKey:
            continue
    return from_putty(plain, passphrases[-1] if passphrases else None)


def is_encrypted(pem: str) -> bool:
    """Whether a PEM block needs a passphrase, by what stands in the clear."""
    head, _, rest = pem.partition("\n")
    if "OPENSSH" in head:
        body = rest.partition("-----END")[0]
        try:
            # openssh-key-v1, then the cipher's name as an SSH string (OpenSSH's PROTOCOL.key).
            start = base64.b64decode("".join(body.split())[:64])
        except ValueError:
            return False
        return start.startswith(b"openssh-key-v1\0") and start[19:23] != b"none"
    return "ENCRYPTED" in head or "Proc-Type: 4,ENCRYPTED" in rest


def _libssh(pem: str, passphrase: str) -> Any:
    from ssh.exceptions import BaseSSHError
    from ssh.key import import_privkey_base64

    try:
        return import_privkey_base64(pem.encode(), passphrase=passphrase.encode())
    except (BaseSSHError, ValueError, TypeError):
        raise UnusableKey("libssh cannot read it") from None
