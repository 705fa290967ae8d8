"""Requests and responses over one SSH channel, for several threads at once.

libssh's sessions are not made for several threads, so one lock guards the session; nobody waits inside it. A reader
thread takes responses in as they come; who sends takes in as well what libssh has read while it wrote. Whose a response
is, and who waits for it, is the inbox's (``inbox``).

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

from client_delivery.transfer.sftp.inbox import GREETING, Inbox
from client_delivery.transfer.sftp.packets import ConnectionLost

_READ_SIZE = 128 * 1024
_TICK = 1.0
_LARGEST_ID = 0xFFFFFFFF
_SENT_TOGETHER = 512 * 1024
_KEEPALIVE = 15.0
"""Seconds without a word of ours, while a response is awaited, until the peer's host is asked for a sign of life."""
_LINGERS = 0.02
"""Seconds for which a little room in the window is not enough."""
_SLOWEST = 1024
"""Bytes per second that a server must take of a request."""


def nothing() -> None:
    """For who has nothing to do while it waits."""


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
        self._lock = threading.RLock()
        """For the session, and for all that is here."""
        self._room_made = threading.Condition(self._lock)
        self._sending = threading.Lock()
        self._inbox = Inbox(self._lose)
        self._next_id = 0
        self._spoke = time.monotonic()
        self._lost: str | None = None
        self._enough = 0
        """How much room in the channel's window somebody waits for; 0 for nobody."""
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
        with self._lock:
            self._lost = self._lost or "closed"
            self._wake_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)  # wakes the reader
        self._reader.join()

    def greet(self, packet: bytes) -> tuple[int, bytes]:
        """Send the first packet, which has no id; returns the response's type and body. Raises ConnectionLost."""
        with self._sending:
            self._inbox.expect(GREETING)
            self._send(_framed(packet))
        return self.response(GREETING)

    def ask(
        self,
        kind: int,
        payload: bytes,
        data: bytes | memoryview = b"",
        *,
        meanwhile: Callable[[], None] = nothing,
    ) -> int:
        """Send a request; returns its id. As :meth:`ask_together`."""
        return self.ask_together([(kind, payload, data)], meanwhile=meanwhile)[0]

    def ask_together(
        self, requests: Sequence[tuple[int, bytes, bytes | memoryview]], *, meanwhile: Callable[[], None] = nothing
    ) -> list[int]:
        """Send requests, as few SSH packets as they fit into; returns their ids. Raises :class:`ConnectionLost`.

        Each request is its type, its payload, and what follows it.

        :param meanwhile: called every second while there is no room in the window; what it raises ends the wait.
        """
        packets: list[bytes] = []
        numbers: list[int] = []
        size = 0
        with self._sending:
            for kind, payload, data in requests:
                self._next_id = number = self._next_id % _LARGEST_ID + 1
                self._inbox.expect(number)
                numbers.append(number)
                packets.append(_framed(struct.pack(">BI", kind, number), payload, data))
                size += len(packets[-1])
                if size >= _SENT_TOGETHER:
                    self._send(*packets, meanwhile=meanwhile)
                    packets, size = [], 0
            if packets:
                self._send(*packets, meanwhile=meanwhile)
        return numbers

    def response(self, request: int, patience: float = 0, *, deadline: float | None = None) -> tuple[int, bytes]:
        """Wait for a request's response: its type and its body. As :meth:`await_all`."""
        if (there := self._inbox.take(request)) is None:
            self.await_all((request,), patience, deadline=deadline)
            there = self._inbox.take(request)
        assert there is not None  # noqa: S101 - it has been waited for
        return there

    def await_all(
        self,
        requests: Sequence[int],
        patience: float = 0,
        *,
        deadline: float | None = None,
        meanwhile: Callable[[], None] = nothing,
    ) -> None:
        """Wait until all of these have their responses.

        :param patience: seconds that the server may need, where that is more than usual.
        :param deadline: when the connection is given up, whatever else it does, by the monotonic clock.
        :param meanwhile: called every second; what it raises ends the wait, and somebody else may wait for them.

        Raises :class:`ConnectionLost`.
        """
        inbox = self._inbox
        if all(map(inbox.has, requests)):
            return
        with self._lock:
            missing = [request for request in requests if not inbox.has(request)]
            if not missing:
                return
            if self._lost is not None:
                raise ConnectionLost(self._lost)
            waiter = inbox.wait_for(missing)
        began = time.monotonic()
        with self._patient(patience):
            while not waiter.woken(_TICK if deadline is None else max(0.0, min(_TICK, deadline - time.monotonic()))):
                with self._lock:
                    self._look_after(began, deadline)
                meanwhile()
        if waiter.missing:
            raise ConnectionLost(self._lost)

    def abandon(self, reason: str) -> ConnectionLost:
        """Give the connection up; returns what to raise."""
        with self._lock:
            self._lose(reason)
        return ConnectionLost(reason)

    def _send(self, *packets: bytes, meanwhile: Callable[[], None] = nothing) -> None:
        """Send whole packets, in pieces where the channel's window is smaller: nobody else's bytes come in between.

        Only the holder of :attr:`_sending` calls it.
        """
        from ssh.exceptions import BaseSSHError

        packet = packets[0] if len(packets) == 1 else b"".join(packets)
        deadline = time.monotonic() + self._silence + len(packet) / _SLOWEST
        sent = 0
        while sent < len(packet):
            with self._lock:
                try:
                    room = self._room(len(packet) - sent, meanwhile)
                except BaseException as error:
                    # What comes next would be taken for the request's rest, or wait for room without end.
                    self._lose(f"a request was given up ({type(error).__name__})")
                    raise
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

    def _room(self, wanted: int, meanwhile: Callable[[], None]) -> int:
        """How much the channel's window takes now: libssh would wait without end. With the lock held.

        Many small pieces cost more CPU than a few large ones; so a little room is waited for to become enough, but
        not for long, for some servers only make room when there is none left.
        """
        if self._lost is not None:
            raise ConnectionLost(self._lost)
        room = int(self._channel.window_size())
        self._widest = max(self._widest, room)
        if room >= wanted:
            return room
        wanted = min(wanted, self._widest // 2)
        began = time.monotonic()
        try:
            with self._patient(0):
                room = self._room_of(wanted, _LINGERS)
                while not room:
                    self._look_after(began)
                    if not (room := self._room_of(1, _TICK)):
                        meanwhile()
                    elif room < wanted:
                        room = self._room_of(wanted, _LINGERS)
        finally:
            self._enough = 0
        if self._lost is not None:
            raise ConnectionLost(self._lost)
        self._widest = max(self._widest, room)
        return room

    def _room_of(self, enough: int, seconds: float) -> int:
        """Wait until the window is that wide, for so long at most; returns how wide it is."""
        self._enough = enough
        until = time.monotonic() + seconds
        while (room := int(self._channel.window_size())) < enough and self._lost is None:
            if (left := until - time.monotonic()) <= 0:
                break
            self._room_made.wait(left)
        return room

    def _look_after(self, began: float, deadline: float | None = None) -> None:
        """Now and then, by who waits for the server since ``began``. With the lock held. Raises ConnectionLost."""
        if self._lost is None:
            now = time.monotonic()
            waited = now - max(began, self._inbox.last)
            if waited > max(self._silence, *self._patience):
                self._lose(f"the server has not responded for {waited:.0f} seconds")
            elif deadline is not None and now > deadline:
                self._lose("the server is too slow to wait for")
            elif now - self._spoke > _KEEPALIVE:
                self._keep_alive()
        if self._lost is not None:
            raise ConnectionLost(self._lost)

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
                with self._lock:
                    if self._lost is not None:
                        return
                    self._take_in()
                    # What came may have made room, which is no packet of its own.
                    if 0 < self._enough <= self._channel.window_size():
                        self._room_made.notify()
                    if self._channel.is_eof() or self._channel.is_closed():
                        self._lose("the server closed the connection")
                        return
            except (BaseSSHError, OSError, ValueError) as error:
                with self._lock:
                    self._lose(str(error) or type(error).__name__)
                return

    def _take_in(self) -> None:
        """All that has arrived. With the lock held."""
        size = _READ_SIZE
        while size == _READ_SIZE:  # less is all that there was
            size, data = self._channel.read_nonblocking(_READ_SIZE)
            if size > 0:
                self._inbox.add(data[:size])

    def _lose(self, reason: str) -> None:
        self._lost = self._lost or reason
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._wake_all()

    def _wake_all(self) -> None:
        self._inbox.wake_all()
        self._room_made.notify_all()


def _framed(*parts: bytes | memoryview) -> bytes:
    return b"".join((struct.pack(">I", sum(map(len, parts))), *parts))
