"""What can be done with files over SFTP, with many requests under way at once.

A library's own SFTP client waits for each response, or copies each block several times; this one keeps :data:`WINDOW`
writes in flight, copies each block once, and does with three round trips what a small file needs.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from client_delivery.transfer.sftp.channel import SftpChannel
from client_delivery.transfer.sftp.pace import Pace, patience
from client_delivery.transfer.sftp.packets import (
    EOF,
    UNSUPPORTED,
    Attributes,
    ConnectionLost,
    Kind,
    OpenFlag,
    SftpError,
    mode_attributes,
    names,
    pairs,
    string,
)
from client_delivery.transfer.sftp.requests import Requests, parsed, refusal
from client_delivery.transfer.sftp.server import LIMITS, POSIX_RENAME, SYNC

WINDOW: Final = 64
"""Writes under way at once."""
_SAFE_BLOCK = 32 * 1024
"""What every server takes in one write (the draft asks for no more)."""
_LARGEST_BLOCK = 255 * 1024
_SYNC_EVERY = 256 * 1024**2
"""Bytes after which a long file is written to the server's disk, so that a resume need not read so far back."""

_Request: TypeAlias = tuple[int, bytes, bytes | memoryview]


class Written(NamedTuple):
    """How far a file has come, counted from the file's beginning and without gaps."""

    acknowledged: int
    synced: int
    """What is on the server's disk: it outlives a crash of the server."""


class SftpSession:
    """Files on one server. Every method raises :class:`SftpError` if the server refuses, and :class:`ConnectionLost`.

    For several threads at once.
    """

    def __init__(self, channel: SftpChannel) -> None:
        self._channel = channel
        self._requests = Requests(channel)
        kind, body = channel.greet(struct.pack(">BI", Kind.INIT, 3))
        if kind != Kind.VERSION:
            raise ConnectionLost("the server did not respond with its SFTP version")
        self.extensions = frozenset(name.decode(errors="replace") for name, _ in pairs(body[4:]))
        self.syncs = SYNC in self.extensions
        """Whether the server can be told to write a file to its disk."""
        self._block = self._largest_write()

    @property
    def lost(self) -> bool:
        """Whether the connection is of no use any more."""
        return self._channel.lost

    @property
    def replaces(self) -> bool:
        """Whether a rename can replace a file at once."""
        return POSIX_RENAME in self.extensions

    # -- files -------------------------------------------------------------------------------------------------------

    def create(self, path: str, mode: int | None = None, *, exclusive: bool = True) -> bytes:
        """Create a file and open it for writing; returns its handle.

        :param exclusive: it must not exist yet, not even as a link. Otherwise what is there is emptied.
        """
        return self._requests.handle_of(self._channel.ask(*_create_request(path, mode, exclusive=exclusive)), "open")

    def create_and_look(self, path: str, other: str, mode: int | None = None) -> tuple[bytes, Attributes | None]:
        """Create a file that must not exist yet, and look at another name meanwhile: its attributes, if it is there."""
        opened, looked = self._channel.ask_together(
            [_create_request(path, mode, exclusive=True), (Kind.LSTAT, string(other), b"")]
        )
        seen = None
        try:
            handle = self._requests.handle_of(opened, "open")
        finally:
            with contextlib.suppress(SftpError, ConnectionLost):
                seen = self._requests.attributes(looked)
        return handle, seen

    def open_existing(self, path: str, *, write: bool) -> bytes:
        """Open a file that exists; returns its handle. Not to look: some servers begin a new file at each open."""
        flags = OpenFlag.WRITE if write else OpenFlag.READ
        return self._requests.handle(
            Kind.OPEN, string(path) + struct.pack(">II", flags, 0), "open" if write else "read"
        )

    def write(self, handle: bytes, offset: int, pieces: Iterable[bytes | memoryview]) -> Iterator[Written]:
        """Write the pieces one behind the other, many at a time; yields how far they have come."""
        pending: dict[int, tuple[int, int | None]] = {}  # size, or what a sync vouches for
        acknowledged = unsynced_from = offset
        synced = 0
        pace = Pace()
        try:
            for piece in pieces:
                for start in range(0, len(piece), self._block):
                    block = piece[start : start + self._block]
                    while len(pending) >= WINDOW:
                        acknowledged, synced = self._settled(pending, acknowledged, synced, pace)
                    pending[self._ask_write(handle, offset, block)] = (len(block), None)
                    offset += len(block)
                if self.syncs and acknowledged - unsynced_from >= _SYNC_EVERY:
                    # Only what was acknowledged before counts: a server may sync beside writes that it has under way.
                    pending[self._channel.ask(Kind.EXTENDED, string(SYNC) + string(handle))] = (0, acknowledged)
                    unsynced_from = acknowledged
                yield Written(acknowledged, synced)
            while pending:
                acknowledged, synced = self._settled(pending, acknowledged, synced, pace)
            yield Written(acknowledged, synced)
        finally:
            self._requests.forget(pending)

    def finish(self, handle: bytes, mode: int | None = None, size: int = 0) -> Attributes:
        """Have the server write the file to its disk, set its permissions, and close it; all asked for at once.

        Returns what the server says of the file before it is closed. Some servers only report a full disk now.
        """
        return self._finished(self._channel.ask_together(self._finishing(handle, mode)), size)

    def write_whole(self, handle: bytes, content: bytes, mode: int | None) -> Attributes:
        """Write a small file's content to a handle and finish it: one round trip."""
        view = memoryview(content)
        writes = [
            _write_request(handle, start, view[start : start + self._block])
            for start in range(0, len(content), self._block)
        ]
        asked = self._channel.ask_together([*writes, *self._finishing(handle, mode)])
        # Every response is taken before an error is raised: the session stays of use for the next file.
        errors, pace = [], Pace()
        for request in asked[: len(writes)]:
            if (error := self._timed(request, self._block, pace)) is not None:
                errors.append(error)
        try:
            finished = self._finished(asked[len(writes) :], len(content))
        except SftpError as error:
            raise (errors[0] if errors else error) from error
        if errors:
            raise errors[0]
        return finished

    def close(self, handle: bytes) -> None:
        """Close a file that is not finished; what the server says to it is of no interest."""
        with contextlib.suppress(SftpError, ConnectionLost):
            self._requests.status(Kind.CLOSE, string(handle), "close")

    def read(self, path: str, size: int, start: int = 0) -> Iterator[bytes]:
        """``size`` bytes of a file, asked for many blocks at a time; fewer if it is shorter."""
        handle = self.open_existing(path, write=False)
        try:
            yield from self._read(handle, start, start + size)
        finally:
            self.close(handle)

    def read_stretches(self, path: str, stretches: Sequence[tuple[int, int]]) -> list[bytes]:
        """Some of a file's bytes: from where, and how many."""
        handle = self.open_existing(path, write=False)
        try:
            return [b"".join(self._read(handle, start, start + size)) for start, size in stretches]
        finally:
            self.close(handle)

    # -- names -------------------------------------------------------------------------------------------------------

    def stat(self, path: str, *, follow: bool = True) -> Attributes:
        """What the server knows of a path; of a link itself where ``follow`` is False."""
        return self._requests.attributes(self._channel.ask(Kind.STAT if follow else Kind.LSTAT, string(path)))

    def make_directory(self, path: str) -> None:
        """Create one directory."""
        self._requests.status(Kind.MKDIR, string(path) + struct.pack(">I", 0), "mkdir")

    def list_names(self, path: str, most: int) -> list[str]:
        """The names in a directory; some ``most`` of them, if there are more."""
        handle, found = self._requests.handle(Kind.OPENDIR, string(path), "list"), list[str]()
        try:
            while len(found) < most:
                kind, body = self._channel.answer(self._channel.ask(Kind.READDIR, string(handle)))
                if kind != Kind.NAME:
                    error = refusal(body, "list")
                    if error.code == EOF:
                        break
                    raise error
                found += parsed(names, body, "list")
        finally:
            self.close(handle)
        return found

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._requests.status(Kind.REMOVE, string(path), "remove")

    def rename(self, old: str, new: str, *, replace: bool = False, size: int = 0) -> Attributes | SftpError:
        """Rename, and look at the new name right behind it: one round trip. Returns what was seen there.

        :param replace: what is there makes way at once, only where :attr:`replaces`; most servers refuse otherwise.
        :param size: the file's, for the server's time.
        """
        named = string(old) + string(new)
        rename = (Kind.EXTENDED, string(POSIX_RENAME) + named, b"") if replace else (Kind.RENAME, named, b"")
        renamed, looked = self._channel.ask_together([rename, (Kind.LSTAT, string(new), b"")])
        error = self._requests.error(renamed, "rename", patience(size))
        seen: Attributes | SftpError
        try:
            seen = self._requests.attributes(looked, patience(size))
        except SftpError as refused:
            seen = refused
        if error:
            raise error
        return seen

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _largest_write(self) -> int:
        if LIMITS not in self.extensions:
            return _SAFE_BLOCK
        kind, body = self._channel.answer(self._channel.ask(Kind.EXTENDED, string(LIMITS)))
        if kind != Kind.EXTENDED_REPLY or len(body) < 32:
            return _SAFE_BLOCK
        largest = int(struct.unpack_from(">QQQQ", body)[2])
        return min(largest, _LARGEST_BLOCK) if largest else _SAFE_BLOCK

    def _ask_write(self, handle: bytes, offset: int, block: bytes | memoryview) -> int:
        return self._channel.ask(*_write_request(handle, offset, block))

    def _ask_read(self, handle: bytes, offset: int, length: int) -> int:
        return self._channel.ask(Kind.READ, string(handle) + struct.pack(">QI", offset, length))

    def _read(self, handle: bytes, position: int, end: int) -> Iterator[bytes]:
        asked: dict[int, int] = {}
        offset = position
        try:
            while position < end:
                while offset < end and len(asked) < WINDOW:
                    length = min(_SAFE_BLOCK, end - offset)
                    asked[self._ask_read(handle, offset, length)] = length
                    offset += length
                request = next(iter(asked))
                length = asked.pop(request)
                data = self._requests.data(request)
                while data and len(data) < length:  # a short read: the rest comes before what is behind it
                    more = self._requests.data(self._ask_read(handle, position + len(data), length - len(data)))
                    if not more:
                        break
                    data += more
                if not data:
                    break
                position += len(data)
                yield data
        finally:
            self._requests.forget(asked)

    def _finishing(self, handle: bytes, mode: int | None) -> list[_Request]:
        """What :meth:`_finished` takes the responses of: permissions, sync, stat and close."""
        named = string(handle)
        requests: list[_Request] = [] if mode is None else [(Kind.FSETSTAT, named + mode_attributes(mode), b"")]
        if self.syncs:
            requests.append((Kind.EXTENDED, string(SYNC) + named, b""))
        return [*requests, (Kind.FSTAT, named, b""), (Kind.CLOSE, named, b"")]

    def _finished(self, asked: Sequence[int], size: int) -> Attributes:
        *before, stat, close = asked
        known, unsynced = Attributes(None, None), None
        if self.syncs:
            # A disk that did not take the bytes: whatever the close says, they are not there.
            unsynced = self._sync_error(before.pop(), size)
        for request in before:
            # Who refuses permissions that it was asked for at the creation has the file all the same.
            self._requests.error(request, "setstat", patience(size))
        with contextlib.suppress(SftpError):
            known = self._requests.attributes(stat, patience(size))
        closed = self._requests.error(close, "close", patience(size))
        if error := unsynced or closed:
            raise error
        return known

    def _sync_error(self, request: int, size: int) -> SftpError | None:
        error = self._requests.error(request, "fsync", patience(size))
        if error is not None and error.code == UNSUPPORTED:  # offered, and not there all the same
            self.syncs = False
            return None
        return error

    def _settled(
        self, pending: dict[int, tuple[int, int | None]], acknowledged: int, synced: int, pace: Pace
    ) -> tuple[int, int]:
        """Take the response to the oldest request; returns how far the file has come with it."""
        request = next(iter(pending))
        size, vouched = pending.pop(request)
        if vouched is None:
            if error := self._timed(request, size, pace):
                raise error
            return acknowledged + size, synced
        if error := self._sync_error(request, _SYNC_EVERY):
            raise error
        return acknowledged, vouched if self.syncs else synced

    def _timed(self, request: int, size: int, pace: Pace) -> SftpError | None:
        began = time.monotonic()
        error = self._requests.error(request, "write")
        if pace.too_slow(time.monotonic() - began, size):
            raise self._channel.abandon("the server takes less than a KiB in a second")
        return error


def _create_request(path: str, mode: int | None, *, exclusive: bool) -> _Request:
    flags = OpenFlag.WRITE | OpenFlag.CREATE | (OpenFlag.EXCLUSIVE if exclusive else OpenFlag.TRUNCATE)
    return Kind.OPEN, string(path) + struct.pack(">I", flags) + mode_attributes(mode), b""


def _write_request(handle: bytes, offset: int, block: bytes | memoryview) -> _Request:
    return Kind.WRITE, string(handle) + struct.pack(">QI", offset, len(block)), block
