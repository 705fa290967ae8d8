"""SFTP version 3 on the wire (draft-ietf-secsh-filexfer-02)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """Packet types."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    SETSTAT = 9
    FSETSTAT = 10
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    STAT = 17
    RENAME = 18
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class OpenFlag(IntEnum):
    """How a file is opened."""

    READ = 0x01
    WRITE = 0x02
    CREATE = 0x08
    TRUNCATE = 0x10
    EXCLUSIVE = 0x20


EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, UNSUPPORTED = 1, 2, 3, 4, 8
_ATTR_SIZE, _ATTR_OWNER, _ATTR_MODE, _ATTR_TIMES, _ATTR_EXTENDED = 0x01, 0x02, 0x04, 0x08, 0x80000000


class SftpError(Exception):
    """The server's response to a request that it did not carry out."""

    def __init__(self, code: int, message: str, operation: str = "") -> None:
        super().__init__(message or f"SFTP status {code}")
        self.code = code
        self.operation = operation
        """What was refused: ``open``, ``write``, ``close``, ``rename`` …"""


class ConnectionLost(Exception):
    """The connection broke, fell silent, or no longer speaks SFTP: what was asked may or may not have taken effect."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a stat tells; None where the server leaves it out."""

    size: int | None
    mode: int | None
    modified: int | None = None
    """Seconds since 1970, by the server's clock."""


def string(value: str | bytes) -> bytes:
    """A string with its length."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def mode_attributes(mode: int | None) -> bytes:
    """Attributes that set the permissions, or nothing."""
    return struct.pack(">I", 0) if mode is None else struct.pack(">II", _ATTR_MODE, mode)


def pairs(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The extensions in the server's greeting: names and versions."""
    strings = []
    while len(body) >= 4:
        length = struct.unpack_from(">I", body)[0]
        strings.append(bytes(body[4 : 4 + length]))
        body = body[4 + length :]
    return zip(strings[::2], strings[1::2], strict=False)


def attributes(body: bytes) -> Attributes:
    """What a response says of a file."""
    return _attributes_at(body, 0)[0]


def names(body: bytes) -> list[str]:
    """The names in a piece of a directory listing."""
    return [name for name, _ in files(body)]


def files(body: bytes) -> list[tuple[str, Attributes]]:
    """The names in a piece of a directory listing, with what the server says of each."""
    count, position, found = struct.unpack_from(">I", body)[0], 4, []
    for _ in range(count):
        length = struct.unpack_from(">I", body, position)[0]
        name = bytes(body[position + 4 : position + 4 + length]).decode(errors="surrogateescape")
        position += 4 + length
        position += 4 + struct.unpack_from(">I", body, position)[0]  # the line that ls would show
        known, position = _attributes_at(body, position)
        found.append((name, known))
    return found


def _attributes_at(body: bytes, position: int) -> tuple[Attributes, int]:
    flags, position = struct.unpack_from(">I", body, position)[0], position + 4
    size = mode = modified = None
    if flags & _ATTR_SIZE:
        size, position = struct.unpack_from(">Q", body, position)[0], position + 8
    if flags & _ATTR_OWNER:
        position += 8
    if flags & _ATTR_MODE:
        mode, position = struct.unpack_from(">I", body, position)[0], position + 4
    if flags & _ATTR_TIMES:
        modified, position = struct.unpack_from(">II", body, position)[1], position + 8
    if flags & _ATTR_EXTENDED:
        count, position = struct.unpack_from(">I", body, position)[0], position + 4
        for _ in range(2 * count):
            position += 4 + struct.unpack_from(">I", body, position)[0]
    return Attributes(size, mode, modified), position


def status_error(body: bytes, operation: str) -> SftpError | None:
    """The error that a status response stands for; None for success."""
    code = struct.unpack_from(">I", body)[0]
    if code == 0:
        return None
    length = struct.unpack_from(">I", body, 4)[0] if len(body) >= 8 else 0
    return SftpError(code, bytes(body[8 : 8 + length]).decode(errors="replace"), operation)
