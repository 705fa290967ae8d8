"""Requests and responses over one SSH channel, for several threads at once.

libssh's sessions are not made for several threads, so one lock guards the session; nobody waits inside it. A reader
thread takes responses in as they come; who sends takes in as well what libssh has read while it wrote.

**Slow or dead.** While a response is awaited, an SSH message that every peer must ignore goes out every few seconds
(RFC 4253, 11.2): a host or a network that is gone does not acknowledge it, and TCP gives the connection up. A server
that lives may take its time, up to the patience of what it was asked for. Only whole responses end that wait: bytes
that trickle in and never become one do not.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from client_delivery.transfer.sftp.packets import ConnectionLost

_READ_SIZE = 128 * 1024
_MOST_PACKET = 1024 * 1024
_TICK = 1.0
_SENT_TOGETHER = 512 * 1024
_KEEPALIVE = 15.0
"""Seconds without a word of ours, while a response is awaited, until the peer's host is asked for a sign of life."""
_LINGERS = 0.02
"""Seconds for which a little room in the window is not enough."""
_SLOWEST = 1024
"""Bytes per second that a server must take of a request."""


class SftpChannel:
    """The client's side of one SFTP session.

    :param session: the libssh session.
    :param channel: one of its channels, with the ``sftp`` subsystem started.
    :param sock: the socket below it.
    :param silence: seconds without any whole response, while one is awaited, after which the connection counts as
        lost, unless a request is given more patience.
    """

    def __init__(self, session: Any, channel: Any, sock: Any, *, silence: float) -> None:
        self._session = session
        self._channel = channel
        self._socket = sock
        self._silence = silence
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._incoming = bytearray()
        self._next_id = 0
        self._awaited: set[int] = set()
        self._answers: dict[int, tuple[int, bytes]] = {}
        self._greeting: tuple[int, bytes] | None = None
        self._responded = self._spoke = time.monotonic()
        self._lost: str | None = None
        self._full = False
        """Whether somebody waits for room in the channel's window."""
        self._widest = 0
        """The largest window that there has been."""
        self._patience: list[float] = []
        """Of everybody who waits for a response now."""
        self._reader = threading.Thread(target=self._read_on, name="sftp-reader", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> bool:
        """Whether the connection is of no use any more."""
        return self._lost is not None

    @property
    def window(self) -> int:
        """Bytes that the server takes at once without a word, as far as it has let anybody know."""
        return max(self._widest, int(self._channel.window_size()))

    def close(self) -> None:
        """No more requests; waits for the reader to end."""
        with self._changed:
            self._lost = self._lost or "closed"
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)  # wakes the reader
        self._reader.join()

    def greet(self, packet: bytes) -> tuple[int, bytes]:
        """Send the first packet, which has no id; returns the response's type and body. Raises ConnectionLost."""
        self._send(_framed(packet))
        self._wait(lambda: self._greeting is not None)
        assert self._greeting is not None  # noqa: S101 - for the type checker
        return self._greeting

    def ask(self, kind: int, payload: bytes, data: bytes | memoryview = b"") -> int:
        """Send a request; returns its id. Raises :class:`ConnectionLost`."""
        return self.ask_together([(kind, payload, data)])[0]

    def ask_together(self, requests: Sequence[tuple[int, bytes, bytes | memoryview]]) -> list[int]:
        """Send requests, as few SSH packets as they fit into; returns their ids. Raises :class:`ConnectionLost`.

        Each request is its type, its payload, and what follows it.
        """
        with self._changed:
            numbers = [(self._next_id + n) & 0xFFFFFFFF for n in range(1, len(requests) + 1)]
            self._next_id = numbers[-1]
            self._awaited.update(numbers)
        packets: list[bytes] = []
        size = 0
        for number, (kind, payload, data) in zip(numbers, requests, strict=True):
            packets.append(_framed(struct.pack(">BI", kind, number), payload, data))
            size += len(packets[-1])
            if size >= _SENT_TOGETHER:
                self._send(*packets)
                packets, size = [], 0
        if packets:
            self._send(*packets)
        return numbers

    def answer(self, request: int, patience: float = 0, *, deadline: float | None = None) -> tuple[int, bytes]:
        """Wait for a request's response: its type and its body.

        :param patience: seconds that the server may need, where that is more than usual.
        :param deadline: when the connection is given up, whatever else it does, by the monotonic clock.

        Raises :class:`ConnectionLost`.
        """
        with self._changed:
            self._wait(lambda: request in self._answers, patience, deadline)
            return self._answers.pop(request)

    def abandon(self, reason: str) -> ConnectionLost:
        """Give the connection up; returns what to raise."""
        with self._changed:
            self._lose(reason)
        return ConnectionLost(reason)

    def _send(self, *packets: bytes) -> None:
        """Send whole packets, in pieces where the channel's window is smaller: nobody else's bytes come in between."""
        from ssh.exceptions import BaseSSHError

        packet = packets[0] if len(packets) == 1 else b"".join(packets)
        with self._sending:
            deadline = time.monotonic() + self._silence + len(packet) / _SLOWEST
            sent = 0
            while sent < len(packet):
                with self._changed:
                    room = self._room(len(packet) - sent)
                    piece = packet if sent == 0 and room >= len(packet) else packet[sent : sent + room]
                    try:
                        self._channel.write(piece)
                        self._spoke = time.monotonic()
                        self._take_in()
                    except (BaseSSHError, OSError) as error:
                        self._lose(str(error))
                        raise ConnectionLost(str(error)) from error
                sent += len(piece)
                if sent < len(packet) and time.monotonic() > deadline:
                    raise self.abandon("the server accepts next to nothing")

    def _room(self, wanted: int) -> int:
        """How much the channel's window takes now: libssh would wait without end. With the lock held.

        Many small pieces cost more CPU than a few large ones; so a little room is waited for to become enough, but
        not for long, for some servers only make room when there is none left.
        """
        self._wait(self._has_room)
        room = int(self._channel.window_size())
        self._widest = max(self._widest, room)
        wanted, until = min(wanted, self._widest // 2), time.monotonic() + _LINGERS
        while room < wanted and self._lost is None and (left := until - time.monotonic()) > 0:
            self._full = True
            self._changed.wait(left)
            room = int(self._channel.window_size())
        return room

    def _has_room(self) -> bool:
        self._full = self._channel.window_size() == 0
        return not self._full

    def _wait(self, come: Callable[[], bool], patience: float = 0, deadline: float | None = None) -> None:
        with self._changed, self._patient(patience):
            began = time.monotonic()
            while not come():
                if self._lost is not None:
                    raise ConnectionLost(self._lost)
                now = time.monotonic()
                waited = now - max(began, self._responded)
                if waited > max(self._silence, *self._patience):
                    self._lose(f"the server has not responded for {waited:.0f} seconds")
                elif deadline is not None and now > deadline:
                    self._lose("the server is too slow to wait for")
                elif now - self._spoke > _KEEPALIVE:
                    self._keep_alive()
                self._changed.wait(_TICK)

    @contextlib.contextmanager
    def _patient(self, seconds: float) -> Iterator[None]:
        """Who waits for something else waits as well: many servers do one thing after the other."""
        self._patience.append(seconds)
        try:
            yield
        finally:
            self._patience.remove(seconds)

    def _keep_alive(self) -> None:
        """With the lock held."""
        from ssh.exceptions import BaseSSHError

        self._spoke = time.monotonic()
        try:
            self._session.send_ignore(b"")
        except (BaseSSHError, OSError) as error:
            self._lose(str(error))

    def _read_on(self) -> None:
        from ssh.exceptions import BaseSSHError

        while True:
            try:
                select.select([self._socket], [], [], _TICK)
                with self._changed:
                    if self._lost is not None:
                        return
                    self._take_in()
                    if self._full:  # what came may have made room, which is no packet of its own
                        self._changed.notify_all()
                    if self._channel.is_eof() or self._channel.is_closed():
                        self._lose("the server closed the connection")
                        return
            except (BaseSSHError, OSError, ValueError) as error:
                with self._changed:
                    self._lose(str(error) or type(error).__name__)
                return

    def _take_in(self) -> None:
        """All that has arrived. With the lock held."""
        while True:
            size, data = self._channel.read_nonblocking(_READ_SIZE)
            if size <= 0:
                break
            self._incoming += data[:size]
            self._sort()

    def _sort(self) -> None:
        position, incoming = 0, self._incoming
        while len(incoming) - position >= 4:
            length = struct.unpack_from(">I", incoming, position)[0]
            if not 1 <= length <= _MOST_PACKET:
                self._lose(f"the server sent a packet of {length} bytes, which is not SFTP")
                break
            if len(incoming) - position - 4 < length:
                break
            packet = bytes(incoming[position + 4 : position + 4 + length])
            self._responded = time.monotonic()
            position += 4 + length
            self._deal(packet)
        del incoming[:position]
        self._changed.notify_all()

    def _deal(self, packet: bytes) -> None:
        if self._greeting is None:
            self._greeting = (packet[0], packet[1:])
            return
        request = struct.unpack_from(">I", packet, 1)[0] if len(packet) >= 5 else None
        if request not in self._awaited:
            self._lose("the server sent a response that nobody asked for")
            return
        self._awaited.discard(request)
        self._answers[request] = (packet[0], packet[5:])

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._changed.notify_all()


def _framed(*parts: bytes | memoryview) -> bytes:
    return b"".join((struct.pack(">I", sum(map(len, parts))), *parts))
