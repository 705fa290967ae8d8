"""The responses that have come over one channel, and who waits for which. Nothing here knows a network.

Who waits is woken once, when all of what it waits for is there, and nobody else is: with a condition for all, every
response woke every thread, only to find that it was another's.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterable

_MOST_PACKET = 1024 * 1024
GREETING = 0
"""Its number; requests have those above it."""


class Waiter:
    """Waits for some responses, and is woken when it has them all, or when there will be no more."""

    __slots__ = ("_woken", "missing")

    def __init__(self, missing: int) -> None:
        self.missing = missing
        self._woken = threading.Lock()
        self._woken.acquire()

    def wake(self) -> None:
        """Once."""
        self._woken.release()

    def woken(self, seconds: float) -> bool:
        """Whether it is, within so many seconds."""
        return self._woken.acquire(timeout=seconds)


class Inbox:
    """Takes bytes in and makes responses of them.

    What changes it is called by who has the channel's lock; but only who sends adds to what is awaited, and only who
    waits for a response takes it, so these two need none.

    :param lose: called with the reason when what came is not SFTP, or nobody asked for it.
    """

    def __init__(self, lose: Callable[[str], None]) -> None:
        self._lose = lose
        self._incoming = bytearray()
        self._awaited: set[int] = set()
        self._responses: dict[int, tuple[int, bytes]] = {}
        self._waiting: dict[int, Waiter] = {}
        """By request."""
        self._greeted = False
        self.last = time.monotonic()
        """When a whole response has come."""

    def expect(self, request: int) -> None:
        """A request is about to be sent."""
        self._awaited.add(request)

    def has(self, request: int) -> bool:
        """Whether its response is there."""
        return request in self._responses

    def take(self, request: int) -> tuple[int, bytes] | None:
        """Its response's type and body, once; None if it is not there."""
        return self._responses.pop(request, None)

    def wait_for(self, requests: Iterable[int]) -> Waiter:
        """Be woken when the responses of these are there, none of which is yet."""
        missing = list(requests)
        waiter = Waiter(len(missing))
        self._waiting.update(dict.fromkeys(missing, waiter))
        return waiter

    def wake_all(self) -> None:
        """No response comes any more."""
        for waiter in {*self._waiting.values()}:
            waiter.wake()
        self._waiting.clear()

    def add(self, data: bytes) -> None:
        """What has come, in whatever pieces."""
        self._incoming += data
        position, incoming = 0, self._incoming
        while len(incoming) - position >= 4:
            length = struct.unpack_from(">I", incoming, position)[0]
            if not 1 <= length <= _MOST_PACKET:
                self._lose(f"the server sent a packet of {length} bytes, which is not SFTP")
                break
            if len(incoming) - position - 4 < length:
                break
            packet = bytes(incoming[position + 4 : position + 4 + length])
            self.last = time.monotonic()
            position += 4 + length
            self._deal(packet)
        del incoming[:position]

    def _deal(self, packet: bytes) -> None:
        if self._greeted:
            request = struct.unpack_from(">I", packet, 1)[0] if len(packet) >= 5 else None
            body = packet[5:]
        else:  # the first packet is the only one without an id
            self._greeted, request, body = True, GREETING, packet[1:]
        if request not in self._awaited:
            self._lose("the server sent a response that nobody asked for")
            return
        self._awaited.discard(request)
        self._responses[request] = (packet[0], body)
        if (waiter := self._waiting.pop(request, None)) is not None:
            waiter.missing -= 1
            if not waiter.missing:
                waiter.wake()
