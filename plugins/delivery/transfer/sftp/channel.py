"""Requests and answers over one SSH channel, for several threads at once.

libssh's sessions are not made for several threads, so one lock guards the session; nobody waits inside it. A reader
thread takes answers in as they come; who sends takes in as well what libssh has read while it wrote.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from delivery.transfer.sftp.packets import ConnectionLost

_READ_SIZE = 128 * 1024
_MOST_PACKET = 1024 * 1024
_TICK = 1.0
_SENT_TOGETHER = 512 * 1024


class SftpChannel:
    """The client's side of one SFTP session.

    :param channel: a libssh channel with the ``sftp`` subsystem started.
    :param sock: the socket below it.
    :param silence: seconds without any answer, while one is awaited, after which the connection counts as lost.
    """

    def __init__(self, channel: Any, sock: Any, *, silence: float) -> None:
        self._channel = channel
        self._socket = sock
        self._silence = silence
        self._changed = threading.Condition()
        self._incoming = bytearray()
        self._next_id = 0
        self._awaited: set[int] = set()
        self._answers: dict[int, tuple[int, bytes]] = {}
        self._greeting: tuple[int, bytes] | None = None
        self._heard = time.monotonic()
        self._lost: str | None = None
        self._reader = threading.Thread(target=self._read_on, name="sftp-reader", daemon=True)
        self._reader.start()

    @property
    def lost(self) -> bool:
        """Whether the connection is of no use any more."""
        return self._lost is not None

    def close(self) -> None:
        """No more requests; waits for the reader to end."""
        with self._changed:
            self._lost = self._lost or "closed"
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)  # wakes the reader
        self._reader.join()

    def greet(self, packet: bytes) -> tuple[int, bytes]:
        """Send the first packet, which has no id; returns the answer's type and body. Raises ConnectionLost."""
        self._send(_framed(packet))
        self._wait(lambda: self._greeting is not None)
        assert self._greeting is not None  # noqa: S101 - for the type checker
        return self._greeting

    def ask(self, kind: int, payload: bytes, data: bytes | memoryview = b"") -> int:
        """Send a request; returns its id. Raises :class:`ConnectionLost`."""
        return self.ask_together([(kind, payload, data)])[0]

    def ask_together(self, requests: Sequence[tuple[int, bytes, bytes | memoryview]]) -> list[int]:
        """Send requests, as few SSH packets as they fit into; returns their ids. Raises :class:`ConnectionLost`.

        Each request is its type, its payload, and what is behind it.
        """
        numbers, packets = [], []
        size = 0
        with self._changed:
            for kind, payload, data in requests:
                self._next_id = number = (self._next_id + 1) & 0xFFFFFFFF
                self._awaited.add(number)
                numbers.append(number)
                packets.append(_framed(struct.pack(">BI", kind, number), payload, data))
                size += len(packets[-1])
                if size >= _SENT_TOGETHER:
                    self._send(*packets)
                    packets, size = [], 0
            if packets:
                self._send(*packets)
        return numbers

    def answer(self, request: int) -> tuple[int, bytes]:
        """Wait for a request's answer: its type and its body. Raises :class:`ConnectionLost`."""
        with self._changed:
            self._wait(lambda: request in self._answers)
            return self._answers.pop(request)

    def _send(self, *packets: bytes) -> None:
        from ssh.exceptions import BaseSSHError

        packet = packets[0] if len(packets) == 1 else b"".join(packets)
        with self._changed:
            # libssh would wait without end for room in the channel's window.
            self._wait(lambda: self._channel.window_size() >= len(packet))
            try:
                self._channel.write(packet)
                self._take_in()
            except (BaseSSHError, OSError) as error:
                self._lose(str(error))
                raise ConnectionLost(str(error)) from error

    def _wait(self, come: Callable[[], bool]) -> None:
        with self._changed:
            began = time.monotonic()
            while not come():
                if self._lost is not None:
                    raise ConnectionLost(self._lost)
                if time.monotonic() - max(began, self._heard) > self._silence:
                    self._lose("the server fell silent")
                self._changed.wait(_TICK)

    def _read_on(self) -> None:
        from ssh.exceptions import BaseSSHError

        while True:
            try:
                select.select([self._socket], [], [], _TICK)
                with self._changed:
                    if self._lost is not None:
                        return
                    self._take_in()
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
            self._heard = time.monotonic()
            self._incoming += data[:size]
            self._sort()

    def _sort(self) -> None:
        position, incoming = 0, self._incoming
        while len(incoming) - position >= 4:
            length = struct.unpack_from(">I", incoming, position)[0]
            if not 1 <= length <= _MOST_PACKET:
                self._lose(f"the server sent a packet of {length} bytes, which is no SFTP")
                break
            if len(incoming) - position - 4 < length:
                break
            packet = bytes(incoming[position + 4 : position + 4 + length])
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
            self._lose("the server answered what nobody asked")
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
