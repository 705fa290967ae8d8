"""The public keys by which an SFTP server is known: required and checked, never trusted on first use (R2.3)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.config.problem import quoted, write
from client_delivery.config.refusal import refusal

KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
_SIGNATURES_OF_RSA = ("rsa-sha2-256", "rsa-sha2-512")
_PARTS = {"ssh-rsa": 3, "ssh-ed25519": 2}
_MIN_RSA_BITS = 2048

_EXPECTED = "a host key as '<type> <base64>', such as 'ssh-ed25519 AAAA…'"
_SCAN = (
    "Get it from the server's owner, or from `make scan-host-key HOST=…` and compare its fingerprint with theirs by "
    "telephone."
)


def _check_host_key(value: str) -> str:
    words = value.split()
    if not words:
        raise refusal(_EXPECTED, _SCAN)
    if len(words) == 1 and re.match("SHA256:|MD5:|([0-9a-f]{2}:){15}", words[0]):
        raise refusal(_EXPECTED, "This is a fingerprint; the whole key is needed. " + _SCAN)
    if words[0] not in KEY_TYPES:
        raise _refuse_first_word(words)
    if len(words) == 1:
        raise refusal(_EXPECTED, f"The key after {quoted(words[0])} is missing. {_SCAN}")
    _check_blob(words[0], words[1])
    return f"{words[0]} {words[1]}"  # the comment after the key means nothing to a client


def _refuse_first_word(words: list[str]) -> Exception:
    if words[0] in _SIGNATURES_OF_RSA:
        return refusal(
            f"one of the key types {', '.join(KEY_TYPES)}",
            f"{quoted(words[0])} names a signature; the key's type is ssh-rsa.",
        )
    if words[0].startswith("@"):
        return refusal(_EXPECTED, f"The marker {quoted(words[0])} of a known_hosts line is not supported.")
    if len(words) > 2 and words[1] in KEY_TYPES:
        # Rather the whole line than a shortened key, which someone might copy.
        return refusal(_EXPECTED, f"This is a line of known_hosts; leave {quoted(words[0])} at its beginning out.")
    if len(words) == 1 and words[0].startswith("AAAA"):
        return refusal(_EXPECTED, "The key's type, the word before 'AAAA…', is missing.")
    if words[0] == "ssh-dss":
        return refusal(
            f"one of the key types {', '.join(KEY_TYPES)}", "DSA keys are not secure: ask for an ed25519 key."
        )
    return refusal(f"one of the key types {', '.join(KEY_TYPES)}", _SCAN)


def _check_blob(key_type: str, encoded: str) -> None:
    again = "Copy the whole line again; keys are often cut at a line's end."
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise refusal("a host key whose second word is base64", again) from None
    parts = _split(blob)
    if not parts:
        raise refusal("a complete host key", again)
    inside = parts[0].decode("ascii", "replace")
    if inside != key_type:
        hint = write(f"{inside} AAAA…") if inside in KEY_TYPES else again
        raise refusal(f"a key of the stated type, {key_type}", f"The key itself says {quoted(inside)}. {hint}".strip())
    if len(parts) != _PARTS.get(key_type, 3) or (key_type == "ssh-ed25519" and len(parts[1]) != 32):
        raise refusal("a complete host key", again)
    if key_type == "ssh-rsa" and int.from_bytes(parts[2], "big").bit_length() < _MIN_RSA_BITS:
        raise refusal(f"an RSA key of at least {_MIN_RSA_BITS} bits", "Ask the server's owner for an ed25519 key.")


def _split(blob: bytes) -> list[bytes]:
    """The length-prefixed parts of a key (RFC 4253, section 6.6), or none if they do not add up."""
    parts = []
    position = 0
    while position < len(blob):
        end = position + 4 + int.from_bytes(blob[position : position + 4], "big")
        if end > len(blob) or position + 4 > len(blob):
            return []
        parts.append(blob[position + 4 : end])
        position = end
    return parts


HostKey = Annotated[
    str,
    AfterValidator(_check_host_key),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(KEY_TYPES)}) AAAA[A-Za-z0-9+/]+={{0,3}}( .*)?$"}),
]
"""``<type> <base64>``, without a comment."""
