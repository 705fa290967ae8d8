"""Keys as text: put right again after what copying does to them, and named without being shown.

On its way into a secret store a key loses its last newline; for each newline it gets ``\\r\\n``, a literal ``\\n``,
escaped once or twice, or a blank; it is put in quotation marks, or wrapped in Base64. None of that changes the key
(R2.5).
"""

from __future__ import annotations

import base64
import binascii
import json
import re

_ARMOUR = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_HEADERS = re.compile(
    r"\s*(Proc-Type:\s*4,ENCRYPTED)\s*(DEK-Info:\s*(?:AES[A-Z0-9-]*,[0-9A-F]{32}|[A-Z0-9-]+,[0-9A-F]{16}))\s*"
)
"""What stands before the body of an encrypted key in OpenSSL's old form."""
_PUTTY = "PuTTY-User-Key-File-"
_WRAPPED = tuple(
    base64.b64encode(start).decode()[: len(start) * 8 // 6] for start in (b"-----BEGIN ", b"PuTTY-User-Key")
)
"""How a key begins that is in Base64 as a whole."""
_KINDS = {
    r"$": "empty",
    r"---- BEGIN SSH2 ENCRYPTED PRIVATE": "a private key in ssh.com's form, which puttygen turns into OpenSSH's",
    r"---- BEGIN SSH2 PUBLIC|(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ AAAA": "a public key",
    r"(/|~|file:).{0,300}$": "a path, which does not exist on a worker or in a container: the key's text is needed",
    r"[{\[]": "JSON or the like",
}
_LINE = 64
"""OpenSSL takes no longer lines in an encrypted key of its old form."""


class UnusableKey(ValueError):
    """The text is not a usable key. The message says what it is instead, and never quotes it."""


def unwrapped(text: str) -> str:
    """The text without byte-order mark, quotation marks, Base64 around the whole, and with real newlines."""
    text = text.replace("\ufeff", "").strip()
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        try:
            text = str(json.loads(text, strict=False)).strip()
        except ValueError:
            text = text[1:-1].strip()
    if text.startswith(_WRAPPED):
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            raise UnusableKey("it begins like a key in Base64, but does not go on like one") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\n" not in text or not text.startswith(_PUTTY):  # a PuTTY key's comment may hold a path of Windows
        text = re.sub(r"\\+n", "\n", re.sub(r"\\+r(?=\\+n)", "", text))
    return text.strip()


def is_private_key(text: object) -> bool:
    """Whether the text is a private key, in whatever form, and nothing else: no password looks like that."""
    if not isinstance(text, str):
        return False
    try:
        plain = unwrapped(text)
    except UnusableKey:
        return True
    return plain.startswith(_PUTTY) or re.match(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----", plain) is not None


def private_key_lines(text: str) -> str:
    """The private key's PEM block with its lines as they should be. Raises :class:`UnusableKey`."""
    plain = unwrapped(text)
    blocks = dict(_ARMOUR.findall(plain))
    label = next((label for label in blocks if label.endswith("PRIVATE KEY")), None)
    if label is None:
        raise UnusableKey(f"it is {described(plain)}")
    body, headers = blocks[label], ""
    if found := _HEADERS.match(body):
        headers = f"{found[1]}\n{found[2]}\n\n"
        body = body[found.end() :]
    body = "".join(body.split())
    lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return "\n".join([f"-----BEGIN {label}-----", headers + "\n".join(lines), f"-----END {label}-----", ""])


def is_putty(plain: str) -> bool:
    """Whether :func:`unwrapped` text is a PuTTY key file."""
    return plain.startswith(_PUTTY)


def described(plain: str) -> str:
    """What kind of text that is, for a message: a kind and a length, never the text."""
    if found := re.match(r"-----BEGIN ([A-Z0-9 ]{1,40})-----", plain):
        cut = "" if f"-----END {found[1]}-----" in plain else ", cut off before its END line"
        article = "an" if found[1][0] in "AEIO" else "a"
        return f"{article} {found[1].lower().replace('openssh', 'OpenSSH').replace('rsa', 'RSA')}{cut}"
    for pattern, kind in _KINDS.items():
        if re.match(pattern, plain):
            return kind
    return f"a text of {len(plain)} characters that is not a private key"
