"""The first words with an SSH server, before anybody logs in: which algorithms are accepted, and which key it shows."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

_CIPHERS = (
    "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
)
_WEAK_CIPHERS = "aes256-cbc,aes128-cbc,3des-cbc"
_KEY_EXCHANGES = (
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,"
    "diffie-hellman-group-exchange-sha256"
)
_WEAK_KEY_EXCHANGES = "diffie-hellman-group14-sha1,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1"
_MACS = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"
_WEAK_MACS = "hmac-sha1-etm@openssh.com,hmac-sha1"
_RSA = "rsa-sha2-512,rsa-sha2-256"
_KEYS = "ssh-ed25519,ecdsa-sha2-nistp521,ecdsa-sha2-nistp384,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"


def prepared_session(
    sock: socket.socket,
    *,
    host: str,
    username: str,
    key_types: list[str],
    weak: bool,
    seconds: int,
) -> Any:
    """A libssh session on a connected socket, ready for its ``connect``.

    :param key_types: of the host keys that are accepted.
    :param weak: whether algorithms are accepted that are no longer secure.
    :param seconds: that the server may take for it.
    """
    from ssh import options
    from ssh.session import Session

    session = Session()
    session.options_set(options.HOST, host)
    session.options_set(options.USER, username)
    session.options_set_int_val(options.PROCESS_CONFIG, 0)  # nothing from ~/.ssh/config
    session.options_set_int_val(options.TIMEOUT, seconds)
    session.options_set(options.COMPRESSION, "no")
    ciphers = f"{_CIPHERS},{_WEAK_CIPHERS}" if weak else _CIPHERS
    for option in (options.CIPHERS_C_S, options.CIPHERS_S_C):
        session.options_set(option, ciphers)
    session.options_set(options.KEY_EXCHANGE, f"{_KEY_EXCHANGES},{_WEAK_KEY_EXCHANGES}" if weak else _KEY_EXCHANGES)
    macs = f"{_MACS},{_WEAK_MACS}" if weak else _MACS
    for option in (options.HMAC_C_S, options.HMAC_S_C):
        session.options_set(option, macs)
    session.options_set(options.PUBLICKEY_ACCEPTED_TYPES, f"{_KEYS},ssh-rsa" if weak else _KEYS)
    rsa = f"{_RSA},ssh-rsa" if weak else _RSA
    session.options_set(options.HOSTKEYS, ",".join(rsa if kind == "ssh-rsa" else kind for kind in key_types))
    # libssh closes what it is given, by number: two owners would close another thread's connection some day.
    own = sock.dup()
    session.set_socket(own)
    own.detach()
    return session


def shown_key(session: Any) -> str:
    """The host key that a connected session has met, as ``<type> <base64>``."""
    found = session.get_server_publickey().export_pubkey_base64()
    encoded = found.decode() if isinstance(found, bytes) else str(found)
    blob = base64.b64decode(encoded)
    return f"{blob[4 : 4 + int.from_bytes(blob[:4], 'big')].decode('ascii', 'replace')} {encoded}"


def agrees_on_nothing(reason: str) -> bool:
    """Whether libssh's reason means that both sides have no algorithm in common: the server itself is there."""
    return "no match for method" in reason or "kex error" in reason


def fingerprint(key: str) -> str:
    """``SHA256:…`` of ``<type> <base64>``, as ``ssh-keygen -l`` writes it."""
    digest = hashlib.sha256(_blob(key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def md5_fingerprint(key: str) -> str:
    """``MD5:aa:bb:…``, which older servers and their people go by."""
    digest = hashlib.md5(_blob(key), usedforsecurity=False).hexdigest()
    return "MD5:" + ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))


def text_of(message: object) -> str:
    """libssh's words; it hands out bytes in some places."""
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)


def _blob(key: str) -> bytes:
    return base64.b64decode(key.split()[1])
