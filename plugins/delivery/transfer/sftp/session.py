"""What can be done with files over SFTP, with many requests under way at once.

A library's own SFTP client waits for each answer, or copies each block several times; this one keeps :data:`WINDOW`
writes in flight, copies each block once, and does with three round trips what a small file needs.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from delivery.transfer.sftp.channel import SftpChannel
from delivery.transfer.sftp.packets import (
    EOF,
    Attributes,
    ConnectionLost,
    Kind,
    OpenFlag,
    SftpError,
    attributes,
    mode_attributes,
    pairs,
    status_error,
    string,
)

WINDOW: Final = 64
"""Writes under way at once."""
_SAFE_BLOCK = 32 * 1024
"""What every server takes in one write (the draft asks for no more)."""
_LARGEST_BLOCK = 255 * 1024
_LIMITS, _SYNC, _POSIX_RENAME = "limits@openssh.com", "fsync@openssh.com", "posix-rename@openssh.com"

_Request: TypeAlias = tuple[int, bytes, bytes | memoryview]


class SftpSession:
    """Files on one server. Every method raises :class:`SftpError` if the server refuses, and :class:`ConnectionLost`.

    For several threads at once.
    """

    def __init__(self, channel: SftpChannel) -> None:
        self._channel = channel
        kind, body = channel.greet(struct.pack(">BI", Kind.INIT, 3))
        if kind != Kind.VERSION:
            raise ConnectionLost("the server did not answer with its SFTP version")
        self._extensions = {name.decode(errors="replace") for name, _ in pairs(body[4:])}
        self._block = self._largest_write()

    @property
    def lost(self) -> bool:
        """Whether the connection is of no use any more."""
        return self._channel.lost

    @property
    def replaces(self) -> bool:
        """Whether a rename can replace a file at once."""
        return _POSIX_RENAME in self._extensions

    # -- files -------------------------------------------------------------------------------------------------------

    def create(self, path: str, mode: int | None = None) -> bytes:
        """Create a file that must not exist yet, not even as a link, and open it for writing; returns its handle."""
        flags = OpenFlag.WRITE | OpenFlag.CREATE | OpenFlag.EXCLUSIVE
        return self._handle(Kind.OPEN, string(path) + struct.pack(">I", flags) + mode_attributes(mode))

    def open_existing(self, path: str, *, write: bool) -> bytes:
        """Open a file that exists; returns its handle."""
        flags = OpenFlag.WRITE if write else OpenFlag.READ
        return self._handle(Kind.OPEN, string(path) + struct.pack(">II", flags, 0))

    def write(self, handle: bytes, offset: int, pieces: Iterable[bytes | memoryview]) -> Iterator[int]:
        """Write the pieces one behind the other, many at a time; yields how many bytes the server has acknowledged,
        counted from ``offset`` and without gaps."""
        pending: dict[int, int] = {}
        acknowledged = offset
        try:
            for piece in pieces:
                for start in range(0, len(piece), self._block):
                    block = piece[start : start + self._block]
                    while len(pending) >= WINDOW:
                        acknowledged += self._acknowledged(pending)
                    pending[self._ask_write(handle, offset, block)] = len(block)
                    offset += len(block)
                yield acknowledged
            while pending:
                acknowledged += self._acknowledged(pending)
            yield acknowledged
        finally:
            self._forget(pending)

    def finish(self, handle: bytes, mode: int | None = None) -> Attributes:
        """Have the server write the file to its disk, set its permissions, and close it; all asked for at once.

        Returns what the server says of the file before it is closed. Some servers only report a full disk now.
        """
        requests = self._finishing(handle, mode)
        return self._finished(self._channel.ask_together(requests))

    def write_whole(self, path: str, content: bytes, mode: int | None) -> Attributes:
        """Create a small file, write it and finish it: two round trips."""
        handle = self.create(path, mode)
        view = memoryview(content)
        writes = [
            _write_request(handle, start, view[start : start + self._block])
            for start in range(0, len(content), self._block)
        ]
        asked = self._channel.ask_together([*writes, *self._finishing(handle, mode)])
        # Every answer is taken before an error is raised: the session stays of use for the next file.
        errors = [error for request in asked[: len(writes)] if (error := self._error(request)) is not None]
        finished = self._finished(asked[len(writes) :])
        if errors:
            raise errors[0]
        return finished

    def read(self, path: str, size: int) -> Iterator[bytes]:
        """A file's first ``size`` bytes, asked for many blocks at a time; fewer if it is shorter."""
        handle = self.open_existing(path, write=False)
        asked: dict[int, int] = {}
        offset = position = 0
        try:
            while position < size:
                while offset < size and len(asked) < WINDOW:
                    length = min(_SAFE_BLOCK, size - offset)
                    asked[self._ask_read(handle, offset, length)] = length
                    offset += length
                request = next(iter(asked))
                length = asked.pop(request)
                data = self._data(request)
                while data and len(data) < length:  # a short read: the rest comes before what is behind it
                    more = self._data(self._ask_read(handle, position + len(data), length - len(data)))
                    if not more:
                        break
                    data += more
                if not data:
                    break
                position += len(data)
                yield data
        finally:
            self._forget(asked)
        self._status(Kind.CLOSE, string(handle))

    # -- names -------------------------------------------------------------------------------------------------------

    def stat(self, path: str, *, follow: bool = True) -> Attributes:
        """What the server knows of a path; of a link itself where ``follow`` is False."""
        return self._attributes(self._channel.ask(Kind.STAT if follow else Kind.LSTAT, string(path)))

    def make_directory(self, path: str) -> None:
        """Create one directory."""
        self._status(Kind.MKDIR, string(path) + struct.pack(">I", 0))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._status(Kind.REMOVE, string(path))

    def rename(self, old: str, new: str) -> None:
        """Rename; most servers refuse if ``new`` exists."""
        self._status(Kind.RENAME, string(old) + string(new))

    def replace(self, old: str, new: str) -> None:
        """Rename, and replace ``new`` at once. Only where :attr:`replaces`."""
        self._status(Kind.EXTENDED, string(_POSIX_RENAME) + string(old) + string(new))

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _largest_write(self) -> int:
        if _LIMITS not in self._extensions:
            return _SAFE_BLOCK
        kind, body = self._channel.answer(self._channel.ask(Kind.EXTENDED, string(_LIMITS)))
        if kind != Kind.EXTENDED_REPLY or len(body) < 32:
            return _SAFE_BLOCK
        largest = int(struct.unpack_from(">QQQQ", body)[2])
        return min(largest, _LARGEST_BLOCK) if largest else _SAFE_BLOCK

    def _ask_write(self, handle: bytes, offset: int, block: bytes | memoryview) -> int:
        return self._channel.ask(*_write_request(handle, offset, block))

    def _ask_read(self, handle: bytes, offset: int, length: int) -> int:
        return self._channel.ask(Kind.READ, string(handle) + struct.pack(">QI", offset, length))

    def _finishing(self, handle: bytes, mode: int | None) -> list[_Request]:
        """What :meth:`_finished` takes the answers of: the last two tell, those before are optional."""
        named = string(handle)
        requests: list[_Request] = []
        # A server that will not sync, or set permissions that it was asked for at creation, still has the file.
        if mode is not None:
            requests.append((Kind.FSETSTAT, named + mode_attributes(mode), b""))
        if _SYNC in self._extensions:
            requests.append((Kind.EXTENDED, string(_SYNC) + named, b""))
        return [*requests, (Kind.FSTAT, named, b""), (Kind.CLOSE, named, b"")]

    def _finished(self, asked: Sequence[int]) -> Attributes:
        *optional, stat, close = asked
        for request in optional:
            self._error(request)
        known = Attributes(None, None)
        with contextlib.suppress(SftpError):
            known = self._attributes(stat)
        if error := self._error(close):
            raise error
        return known

    def _handle(self, kind: int, payload: bytes) -> bytes:
        answered, body = self._channel.answer(self._channel.ask(kind, payload))
        if answered != Kind.HANDLE:
            raise _refusal(body)
        return bytes(body[4:])

    def _attributes(self, request: int) -> Attributes:
        answered, body = self._channel.answer(request)
        if answered != Kind.ATTRS:
            raise _refusal(body)
        return attributes(body)

    def _data(self, request: int) -> bytes | None:
        """A read's bytes; None at the file's end."""
        answered, body = self._channel.answer(request)
        if answered == Kind.DATA:
            return body[4:]
        error = _refusal(body)
        if error.code == EOF:
            return None
        raise error

    def _status(self, kind: int, payload: bytes) -> None:
        if error := self._error(self._channel.ask(kind, payload)):
            raise error

    def _error(self, request: int) -> SftpError | None:
        answered, body = self._channel.answer(request)
        return status_error(body) if answered == Kind.STATUS else _refusal(b"")

    def _forget(self, requests: Iterable[int]) -> None:
        """Take the answers that nobody needs any more."""
        with contextlib.suppress(ConnectionLost):
            for request in requests:
                self._channel.answer(request)

    def _acknowledged(self, pending: dict[int, int]) -> int:
        """Take the answer to the oldest write; returns its size."""
        request = next(iter(pending))
        size = pending.pop(request)
        if error := self._error(request):
            raise error
        return size


def _write_request(handle: bytes, offset: int, block: bytes | memoryview) -> _Request:
    return Kind.WRITE, string(handle) + struct.pack(">QI", offset, len(block)), block


def _refusal(body: bytes) -> SftpError:
    return (status_error(body) if len(body) >= 4 else None) or SftpError(4, "an answer that does not fit the request")
