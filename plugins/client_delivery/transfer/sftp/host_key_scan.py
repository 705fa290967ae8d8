"""The host keys that a server shows to anybody who asks, one for each type: ``ssh-keyscan``, the engine's way.

Whether they are the client's is not for a network to say: who shows them may stand in between.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from client_delivery.transfer.sftp.connection import Unreached, cut, is_silent, reached, silence
from client_delivery.transfer.sftp.handshake import agrees_on_nothing, prepared_session, shown_key, text_of


class Scanned(NamedTuple):
    """What a server shows."""

    banner: str
    """Its SSH software version."""
    keys: list[str]
    """``<type> <base64>``."""


def scan(host: str, port: int, key_types: Iterable[str], *, seconds: int = 10) -> Scanned:
    """Ask for one key after the other: many connections at once would be refused by some servers.

    :param key_types: in this order.
    :param seconds: for connecting and for the handshake, each.

    Raises :class:`Unreached`.
    """
    from ssh.exceptions import BaseSSHError

    banner, keys = "", list[str]()
    for kind in key_types:
        sock = reached(host, port, seconds)
        try:
            session = prepared_session(sock, host=host, username="scan", key_types=[kind], weak=True, seconds=seconds)
            try:
                session.connect()
            except BaseSSHError as error:
                reason = text_of(session.get_error() or error)
                if agrees_on_nothing(reason) or keys:
                    continue  # it has none of that type
                if is_silent(session, reason):
                    raise Unreached(silence(f"{host}:{port}", seconds)) from error
                raise Unreached(
                    f"{host}:{port} broke the connection off before it showed a key: {reason}. It may limit "
                    "connections, block this address, or not be an SSH server. Ask the client."
                ) from error
            banner = text_of(session.get_serverbanner() or "").strip().removeprefix("SSH-2.0-")
            keys.append(shown_key(session))
            session.disconnect()
        finally:
            cut(sock)
    return Scanned(banner, keys)
