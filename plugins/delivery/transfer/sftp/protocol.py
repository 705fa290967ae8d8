"""SFTP version 3 over one channel (draft-ietf-secsh-filexfer-02), with many writes under way at once.

A library's own SFTP client waits for each answer, or copies each block several times; this framing keeps
:data:`WINDOW` writes in flight and copies each block once.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _WRITE, _LSTAT, _FSTAT, _SETSTAT = 1, 2, 3, 4, 5, 6, 7, 8, 9
_REMOVE, _MKDIR, _STAT, _RENAME, _STATUS, _HANDLE, _DATA, _ATTRS = 13, 14, 17, 18, 101, 102, 103, 105
_EXTENDED, _EXTENDED_REPLY = 200, 201
_READ_FLAG, _WRITE_FLAG, _CREATE_FLAG, _EXCLUSIVE_FLAG = 0x01, 0x02, 0x08, 0x20
_ATTR_SIZE, _ATTR_OWNER, _ATTR_MODE = 0x01, 0x02, 0x04

WINDOW = 64
"""Writes under way at once."""
_SAFE_BLOCK = 32 * 1024
"""What every server takes in one write (the draft asks for no more)."""
_LARGEST_BLOCK = 255 * 1024
_MOST_PACKET = 1024 * 1024

EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, UNSUPPORTED = 1, 2, 3, 4, 8


class SftpError(Exception):
    """The server's answer to a request that it did not carry out."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message or f"SFTP status {code}")
        self.code = code


class ConnectionLost(Exception):
    """The channel broke or fell silent."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a stat tells; None where the server leaves it out."""

    size: int | None
    mode: int | None


class SftpChannel:
    """The client's side of one SFTP session. Not for use by several threads at once.

    :param channel: a libssh channel with the ``sftp`` subsystem started.
    :param silence: seconds without any answer after which the connection counts as lost.
    """

    def __init__(self, channel: Any, *, silence: float) -> None:
        self._channel = channel
        self._silence = silence
        self._incoming = bytearray()
        self._next_id = 0
        self._answers: dict[int, tuple[int, bytes]] = {}
        self._send(struct.pack(">BI", _INIT, 3))
        kind, body = self._packet()
        if kind != _VERSION:
            raise ConnectionLost("the server did not answer with its SFTP version")
        self.extensions = dict(_pairs(body[4:]))
        self.block = self._largest_write()

    # -- files -------------------------------------------------------------------------------------------------------

    def create(self, path: str, mode: int | None) -> bytes:
        """Create a file that must not exist yet, not even as a link, and open it for writing; returns its handle."""
        attributes = struct.pack(">I", 0) if mode is None else struct.pack(">II", _ATTR_MODE, mode)
        flags = _WRITE_FLAG | _CREATE_FLAG | _EXCLUSIVE_FLAG
        return self._handle(_OPEN, _string(path) + struct.pack(">I", flags) + attributes)

    def open_existing(self, path: str, *, write: bool) -> bytes:
        """Open a file that exists; returns its handle."""
        flags = _WRITE_FLAG if write else _READ_FLAG
        return self._handle(_OPEN, _string(path) + struct.pack(">II", flags, 0))

    def close(self, handle: bytes) -> None:
        """Close a handle; some servers only report a full disk now."""
        self._status(_CLOSE, _string(handle))

    def write(self, handle: bytes, offset: int, pieces: Iterable[bytes]) -> Iterator[int]:
        """Write the pieces one behind the other, many at a time; yields how many bytes the server has acknowledged,
        counted from ``offset`` and without gaps."""
        pending: dict[int, int] = {}
        acknowledged = offset
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), self.block):
                block = view[start : start + self.block]
                while len(pending) >= WINDOW:
                    acknowledged += self._acknowledge(pending)
                request = self._id()
                head = struct.pack(">BI", _WRITE, request) + _string(handle) + struct.pack(">QI", offset, len(block))
                self._send(b"".join((head, block)))
                pending[request] = len(block)
                offset += len(block)
            yield acknowledged
        while pending:
            acknowledged += self._acknowledge(pending)
        yield acknowledged

    def read(self, handle: bytes, size: int) -> Iterator[bytes]:
        """The file's first ``size`` bytes, asked for many blocks at a time."""
        asked: list[tuple[int, int, int]] = []
        offset = position = 0
        while position < size:
            while offset < size and len(asked) < WINDOW:
                length = min(_SAFE_BLOCK, size - offset)
                asked.append((self._ask(_READ, _string(handle) + struct.pack(">QI", offset, length)), offset, length))
                offset += length
            request, _, length = asked.pop(0)
            kind, body = self._answer(request)
            if kind == _STATUS:
                raise _error(body)
            data = body[4:]
            position += len(data)
            yield data
            while len(data) < length:  # a short read in the middle: ask for the rest before going on
                rest = struct.pack(">QI", position, length - len(data))
                kind, body = self._answer(self._ask(_READ, _string(handle) + rest))
                if kind == _STATUS:
                    raise _error(body)
                data = bytes(data) + bytes(body[4:])
                position += len(body) - 4
                yield body[4:]

    # -- names -------------------------------------------------------------------------------------------------------

    def stat(self, path: str, *, follow: bool = True) -> Attributes:
        """What the server knows of a path; of a link itself where ``follow`` is False."""
        kind, body = self._answer(self._ask(_STAT if follow else _LSTAT, _string(path)))
        if kind != _ATTRS:
            raise _error(body)
        return _attributes(body)

    def set_mode(self, path: str, mode: int) -> None:
        """Change the permissions."""
        self._status(_SETSTAT, _string(path) + struct.pack(">II", _ATTR_MODE, mode))

    def make_directory(self, path: str) -> None:
        """Create one directory."""
        self._status(_MKDIR, _string(path) + struct.pack(">I", 0))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._status(_REMOVE, _string(path))

    def rename(self, old: str, new: str) -> None:
        """Rename; most servers refuse if ``new`` exists."""
        self._status(_RENAME, _string(old) + _string(new))

    def posix_rename(self, old: str, new: str) -> None:
        """Rename and replace ``new`` at once. Only where the extension is offered."""
        self._status(_EXTENDED, _string("posix-rename@openssh.com") + _string(old) + _string(new))

    def sync(self, handle: bytes) -> None:
        """Have the server write the file to its disk. Only where the extension is offered."""
        self._status(_EXTENDED, _string("fsync@openssh.com") + _string(handle))

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _largest_write(self) -> int:
        if b"limits@openssh.com" not in self.extensions:
            return _SAFE_BLOCK
        kind, body = self._answer(self._ask(_EXTENDED, _string("limits@openssh.com")))
        if kind != _EXTENDED_REPLY:
            return _SAFE_BLOCK
        largest = int(struct.unpack_from(">QQQQ", body)[2])
        return min(largest, _LARGEST_BLOCK) if largest else _SAFE_BLOCK

    def _handle(self, kind: int, payload: bytes) -> bytes:
        answered, body = self._answer(self._ask(kind, payload))
        if answered != _HANDLE:
            raise _error(body)
        return bytes(body[4:])

    def _status(self, kind: int, payload: bytes) -> None:
        answered, body = self._answer(self._ask(kind, payload))
        if answered != _STATUS or struct.unpack_from(">I", body)[0]:
            raise _error(body)

    def _acknowledge(self, pending: dict[int, int]) -> int:
        """Take the answer to the oldest write; returns its size."""
        request = next(iter(pending))
        kind, body = self._answer(request)
        if kind != _STATUS or struct.unpack_from(">I", body)[0]:
            raise _error(body)
        return pending.pop(request)

    def _ask(self, kind: int, payload: bytes) -> int:
        request = self._id()
        self._send(struct.pack(">BI", kind, request) + payload)
        return request

    def _id(self) -> int:
        self._next_id = (self._next_id + 1) & 0xFFFFFFFF
        return self._next_id

    def _answer(self, request: int) -> tuple[int, bytes]:
        while request not in self._answers:
            kind, body = self._packet()
            self._answers[struct.unpack_from(">I", body)[0]] = (kind, body[4:])
        return self._answers.pop(request)

    def _send(self, packet: bytes) -> None:
        from ssh.exceptions import BaseSSHError

        data = struct.pack(">I", len(packet)) + packet
        # libssh waits without end for room in the channel's window, so room is made by taking answers first.
        while self._channel.window_size() < len(data):
            self._receive()
        try:
            self._channel.write(data)
        except (BaseSSHError, OSError) as error:
            raise ConnectionLost(str(error)) from error

    def _packet(self) -> tuple[int, bytes]:
        while len(self._incoming) < 4 or len(self._incoming) - 4 < self._length():
            self._receive()
        length = self._length()
        packet = bytes(self._incoming[4 : 4 + length])
        del self._incoming[: 4 + length]
        return packet[0], packet[1:]

    def _length(self) -> int:
        length = int(struct.unpack_from(">I", self._incoming)[0])
        if not 1 <= length <= _MOST_PACKET:
            raise ConnectionLost(f"the server sent a packet of {length} bytes, which is no SFTP")
        return length

    def _receive(self) -> None:
        from ssh.exceptions import BaseSSHError

        started = time.monotonic()
        try:
            size, data = self._channel.read_timeout(_MOST_PACKET, int(self._silence * 1000))
        except (BaseSSHError, OSError) as error:
            raise ConnectionLost(str(error)) from error
        if size > 0:
            self._incoming += data[:size]
        elif self._channel.is_eof() or self._channel.is_closed() or time.monotonic() - started >= self._silence * 0.9:
            raise ConnectionLost("the server closed the connection or fell silent")


def _string(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def _pairs(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    strings = []
    while body:
        length = struct.unpack_from(">I", body)[0]
        strings.append(bytes(body[4 : 4 + length]))
        body = body[4 + length :]
    return zip(strings[::2], strings[1::2], strict=False)


def _attributes(body: bytes) -> Attributes:
    flags, position = struct.unpack_from(">I", body)[0], 4
    size = mode = None
    if flags & _ATTR_SIZE:
        size, position = struct.unpack_from(">Q", body, position)[0], position + 8
    if flags & _ATTR_OWNER:
        position += 8
    if flags & _ATTR_MODE:
        mode = struct.unpack_from(">I", body, position)[0]
    return Attributes(size, mode)


def _error(body: bytes) -> SftpError:
    code, length = struct.unpack_from(">II", body) if len(body) >= 8 else (FAILURE, 0)
    return SftpError(code, bytes(body[8 : 8 + length]).decode(errors="replace"))
