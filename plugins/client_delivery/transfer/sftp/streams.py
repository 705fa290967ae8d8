"""A file's bytes, many requests under way at once: in both directions, with a lower bound of speed."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from client_delivery.transfer.pace import TOO_SLOW, Pace
from client_delivery.transfer.sftp.channel import SftpChannel, nothing
from client_delivery.transfer.sftp.packets import Kind, SftpError, string
from client_delivery.transfer.sftp.requests import Requests
from client_delivery.transfer.sftp.server import SYNC

WINDOW: Final = 64
"""Requests under way at once."""
SAFE_BLOCK: Final = 32 * 1024
"""What every server takes, or hands out, in one request (the draft asks for no more)."""
_SYNC_EVERY = 256 * 1024**2
"""Bytes after which a long file is written to the server's disk, so that a resume need not read so far back."""

Request: TypeAlias = tuple[int, bytes, bytes | memoryview]
"""A request's type, its payload, and what follows it."""


class Written(NamedTuple):
    """How far a file has come, counted from the file's beginning and without gaps."""

    acknowledged: int
    synced: int
    """What is on the server's disk: it outlives a crash of the server."""


class Timed:
    """Requests whose waiting time is counted: for one file, one way.

    :param meanwhile: called every second while a write waits; what it raises ends the wait.
    """

    def __init__(self, channel: SftpChannel, meanwhile: Callable[[], None] = nothing) -> None:
        self.channel = channel
        self.meanwhile = meanwhile
        self.requests = Requests(channel)
        self._pace = Pace()

    def write_error(self, request: int, size: int) -> SftpError | None:
        """The refusal of a write of ``size`` bytes, or None. Raises :class:`ConnectionLost` for a server too slow."""
        return next(iter(self.write_errors([request], size)), None)

    def write_errors(self, requests: Sequence[int], size: int) -> list[SftpError]:
        """The refusals of writes of ``size`` bytes in all. Raises as :meth:`write_error` does."""
        began = time.monotonic()
        self.channel.await_all(requests, meanwhile=self.meanwhile)
        if self._pace.too_slow(time.monotonic() - began, size):
            raise self.channel.abandon(f"the server takes {TOO_SLOW}")
        return [error for request in requests if (error := self.requests.error(request, "write")) is not None]

    def read(self, handle: bytes, offset: int, length: int) -> bytes | None:
        """Ask for some bytes and wait for them. Raises as :meth:`data` does."""
        return self.data(self.channel.ask(*read_request(handle, offset, length)))

    def data(self, request: int) -> bytes | None:
        """A read's bytes; None at the file's end. Raises :class:`ConnectionLost` for a server too slow."""
        began = time.monotonic()
        found = self.requests.data(request)
        if self._pace.too_slow(time.monotonic() - began, len(found or b"")):
            raise self.channel.abandon(f"the server hands out {TOO_SLOW}")
        return found


class WriteStream:
    """The writes to one handle.

    :param is_synced: takes the response to a sync of so many bytes: whether they are on the server's disk. Raises
        :class:`SftpError` where that failed.
    """

    def __init__(
        self,
        timed: Timed,
        handle: bytes,
        offset: int,
        *,
        block: int,
        is_synced: Callable[[int, int], bool],
    ) -> None:
        self._timed = timed
        self._handle = handle
        self._offset = self._acknowledged = self._unsynced_from = offset
        self._synced = 0
        self._block = block
        self._is_synced = is_synced
        self._pending: dict[int, tuple[int, int | None]] = {}
        """Requests under way, oldest first: their size, or what a sync vouches for."""

    @property
    def under_way(self) -> bool:
        """Whether there are requests without a response."""
        return bool(self._pending)

    @property
    def written(self) -> Written:
        """How far it has come."""
        return Written(self._acknowledged, self._synced)

    def send(self, piece: bytes | memoryview) -> None:
        """Write a piece after what was sent; waits while too much is under way."""
        for start in range(0, len(piece), self._block):
            block = piece[start : start + self._block]
            while len(self._pending) >= WINDOW:
                self.settle()
            asked = write_request(self._handle, self._offset, block)
            request = self._timed.channel.ask(*asked, meanwhile=self._timed.meanwhile)
            self._pending[request] = (len(block), None)
            self._offset += len(block)

    def sync_now_and_then(self) -> None:
        """Ask the server to write what is acknowledged to its disk, if that has become much."""
        if self._acknowledged - self._unsynced_from >= _SYNC_EVERY:
            # Only what was acknowledged before counts: a server may sync beside writes that it has under way.
            request = self._timed.channel.ask(Kind.EXTENDED, string(SYNC) + string(self._handle))
            self._pending[request] = (0, self._acknowledged)
            self._unsynced_from = self._acknowledged

    def forget(self) -> None:
        """Nobody needs the responses any more."""
        self._timed.requests.forget(self._pending)

    def settle(self) -> None:
        """Wait for the response to the oldest request."""
        request = next(iter(self._pending))
        size, vouched = self._pending.pop(request)
        if vouched is None:
            if error := self._timed.write_error(request, size):
                raise error
            self._acknowledged += size
        elif self._is_synced(request, _SYNC_EVERY):
            self._synced = vouched


def read_ahead(timed: Timed, handle: bytes, position: int, end: int) -> Iterator[bytes]:
    """The bytes from ``position`` to before ``end``, asked for many blocks at a time; fewer if the file is shorter."""
    asked: dict[int, int] = {}
    offset = position
    try:
        while position < end:
            while offset < end and len(asked) < WINDOW:
                length = min(SAFE_BLOCK, end - offset)
                asked[timed.channel.ask(*read_request(handle, offset, length))] = length
                offset += length
            request = next(iter(asked))
            length = asked.pop(request)
            data = timed.data(request)
            while data and len(data) < length:  # a short read: the rest comes before what follows it
                more = timed.read(handle, position + len(data), length - len(data))
                if not more:
                    break
                data += more
            if not data:
                break
            position += len(data)
            yield data
            if len(data) < length:
                break  # the file's end, wherever between two blocks it is
    finally:
        timed.requests.forget(asked)


def write_request(handle: bytes, offset: int, block: bytes | memoryview) -> Request:
    """A write of ``block`` at ``offset``."""
    return Kind.WRITE, string(handle) + struct.pack(">QI", offset, len(block)), block


def read_request(handle: bytes, offset: int, length: int) -> Request:
    """A read of ``length`` bytes from ``offset`` on."""
    return Kind.READ, string(handle) + struct.pack(">QI", offset, length), b""
