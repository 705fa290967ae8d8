"""What can be done with files over SFTP, with many requests under way at once.

A library's own SFTP client waits for each response, or copies each block several times; this one keeps many
writes in flight, copies each block once, and does with three round trips what a small file needs.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from client_delivery.transfer.sftp.channel import SftpChannel, nothing
from client_delivery.transfer.sftp.pace import patience
from client_delivery.transfer.sftp.packets import (
    EOF,
    UNSUPPORTED,
    Attributes,
    ConnectionLost,
    Kind,
    OpenFlag,
    SftpError,
    files,
    mode_attributes,
    pairs,
    string,
)
from client_delivery.transfer.sftp.requests import Requests, parsed, refusal
from client_delivery.transfer.sftp.server import LIMITS, POSIX_RENAME, SPACE, SYNC
from client_delivery.transfer.sftp.streams import (
    SAFE_BLOCK,
    Request,
    Timed,
    WriteStream,
    Written,
    read_ahead,
    write_request,
)

_LARGEST_BLOCK = 255 * 1024


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
    def window(self) -> int:
        """Bytes that the server takes at once without a word."""
        return self._channel.window

    @property
    def block(self) -> int:
        """The largest write, bytes."""
        return self._block

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
        self._channel.await_all((opened, looked))
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

    def write(
        self,
        handle: bytes,
        offset: int,
        pieces: Iterable[bytes | memoryview],
        meanwhile: Callable[[], None] = nothing,
    ) -> Iterator[Written]:
        """Write the pieces one after the other, many at a time; yields how far they have come.

        :param meanwhile: called every second while this waits for the server; what it raises ends it.
        """
        stream = WriteStream(
            Timed(self._channel, meanwhile), handle, offset, block=self._block, is_synced=self._is_synced
        )
        try:
            for piece in pieces:
                stream.send(piece)
                if self.syncs:
                    stream.sync_now_and_then()
                yield stream.written
            while stream.under_way:
                stream.settle()
                yield stream.written
            yield stream.written
        finally:
            stream.forget()

    def finish(
        self,
        handle: bytes,
        mode: int | None = None,
        size: int = 0,
        meanwhile: Callable[[], None] = nothing,
    ) -> Attributes:
        """Have the server write the file to its disk, set its permissions, and close it; all asked for at once.

        Returns what the server says of the file before it is closed. Some servers only report a full disk now.

        :param meanwhile: as for :meth:`write`.
        """
        return self._finished(self._channel.ask_together(self._finishing(handle, mode)), size, meanwhile)

    def write_whole(
        self, handle: bytes, content: bytes, mode: int | None, meanwhile: Callable[[], None] = nothing
    ) -> Attributes:
        """Write a small file's content to a handle and finish it: one round trip.

        :param meanwhile: as for :meth:`write`.
        """
        view = memoryview(content)
        writes = [
            write_request(handle, start, view[start : start + self._block])
            for start in range(0, len(content), self._block)
        ]
        asked = self._channel.ask_together([*writes, *self._finishing(handle, mode)], meanwhile=meanwhile)
        # Every response is taken before an error is raised: the session stays of use for the next file.
        errors = Timed(self._channel, meanwhile).write_errors(asked[: len(writes)], len(content))
        try:
            finished = self._finished(asked[len(writes) :], len(content), meanwhile)
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
            yield from read_ahead(Timed(self._channel), handle, start, start + size)
        finally:
            self.close(handle)

    def read_stretches(self, path: str, stretches: Sequence[tuple[int, int]]) -> list[bytes]:
        """Some of a file's bytes: from where, and how many."""
        handle = self.open_existing(path, write=False)
        try:
            timed = Timed(self._channel)
            return [b"".join(read_ahead(timed, handle, start, start + size)) for start, size in stretches]
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
        """The names in a directory; some of them, if there are more than ``most`` or the server takes too long."""
        found: list[str] = []
        began = time.monotonic()
        with contextlib.closing(self.listed(path)) as pieces:
            for piece in pieces:
                found += [name for name, _ in piece]
                if len(found) >= most or time.monotonic() - began >= patience(0):
                    break
        return found

    def listed(self, path: str) -> Generator[list[tuple[str, Attributes]]]:
        """What is in a directory, with what the server says of each; as much at a time as the server says at once."""
        handle = self._requests.handle(Kind.OPENDIR, string(path), "list")
        try:
            while True:
                kind, body = self._channel.response(self._channel.ask(Kind.READDIR, string(handle)))
                if kind != Kind.NAME:
                    error = refusal(body, "list")
                    if error.code == EOF:
                        return
                    raise error
                yield parsed(files, body, "list")
        finally:
            self.close(handle)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._requests.status(Kind.REMOVE, string(path), "remove")

    def remove_if_quick(self, path: str) -> None:
        """Remove a file, if the server does that soon, for nobody has time to wait; a slow one loses its connection."""
        with contextlib.suppress(ConnectionLost):
            self._requests.forget([self._channel.ask(Kind.REMOVE, string(path))])

    def rename(self, old: str, new: str, *, replace: bool = False, size: int = 0) -> Attributes | SftpError:
        """Rename, and look at the new name right after it: one round trip. Returns what was seen there.

        :param replace: what is there makes way at once, only where :attr:`replaces`; most servers refuse otherwise.
        :param size: the file's, for the server's time.
        """
        named = string(old) + string(new)
        rename = (Kind.EXTENDED, string(POSIX_RENAME) + named, b"") if replace else (Kind.RENAME, named, b"")
        renamed, looked = self._channel.ask_together([rename, (Kind.LSTAT, string(new), b"")])
        self._channel.await_all((renamed, looked), patience(size))
        error = self._requests.error(renamed, "rename", patience(size))
        seen: Attributes | SftpError
        try:
            seen = self._requests.attributes(looked, patience(size))
        except SftpError as refused:
            seen = refused
        if error:
            raise error
        return seen

    def free_space(self, path: str) -> int | None:
        """Bytes that this account may still write there; None where the server does not tell."""
        if SPACE not in self.extensions:
            return None
        kind, body = self._channel.response(self._channel.ask(Kind.EXTENDED, string(SPACE) + string(path)))
        if kind != Kind.EXTENDED_REPLY or len(body) < 40:
            return None
        # Block size, fragment size, blocks, free ones, those for anybody (OpenSSH, PROTOCOL, 4.5).
        _, fragment, _, _, available = struct.unpack_from(">QQQQQ", body)
        return int(fragment * available)

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _largest_write(self) -> int:
        if LIMITS not in self.extensions:
            return SAFE_BLOCK
        kind, body = self._channel.response(self._channel.ask(Kind.EXTENDED, string(LIMITS)))
        if kind != Kind.EXTENDED_REPLY or len(body) < 32:
            return SAFE_BLOCK
        largest = int(struct.unpack_from(">QQQQ", body)[2])
        return min(largest, _LARGEST_BLOCK) if largest else SAFE_BLOCK

    def _finishing(self, handle: bytes, mode: int | None) -> list[Request]:
        """What :meth:`_finished` takes the responses of: permissions, sync, stat and close."""
        named = string(handle)
        requests: list[Request] = [] if mode is None else [(Kind.FSETSTAT, named + mode_attributes(mode), b"")]
        if self.syncs:
            requests.append((Kind.EXTENDED, string(SYNC) + named, b""))
        return [*requests, (Kind.FSTAT, named, b""), (Kind.CLOSE, named, b"")]

    def _finished(self, asked: Sequence[int], size: int, meanwhile: Callable[[], None]) -> Attributes:
        self._channel.await_all(asked, patience(size), meanwhile=meanwhile)
        *before, stat, close = asked
        known, unsynced = Attributes(None, None), None
        if self.syncs:
            # A disk that did not take the bytes: whatever the close says, they are not there.
            unsynced = self._sync_error(before.pop(), size)
        for request in before:
            # The permissions were asked for at the creation already; a server that refuses them now has the file.
            self._requests.error(request, "setstat", patience(size))
        with contextlib.suppress(SftpError):
            known = self._requests.attributes(stat, patience(size))
        closed = self._requests.error(close, "close", patience(size))
        if error := unsynced or closed:
            raise error
        return known

    def _is_synced(self, request: int, size: int) -> bool:
        if error := self._sync_error(request, size):
            raise error
        return self.syncs

    def _sync_error(self, request: int, size: int) -> SftpError | None:
        error = self._requests.error(request, "fsync", patience(size))
        if error is not None and error.code == UNSUPPORTED:  # offered, but not there
            self.syncs = False
            return None
        return error


def _create_request(path: str, mode: int | None, *, exclusive: bool) -> Request:
    flags = OpenFlag.WRITE | OpenFlag.CREATE | (OpenFlag.EXCLUSIVE if exclusive else OpenFlag.TRUNCATE)
    return Kind.OPEN, string(path) + struct.pack(">I", flags) + mode_attributes(mode), b""
