"""A whole SFTP server in this process, behind the wire of :mod:`sftp_wire`: as unkind as a test asks for."""

from __future__ import annotations

import itertools
import re
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.learned import Learned
from client_delivery.transfer.sftp.packets import EOF, FAILURE, NO_SUCH_FILE, UNSUPPORTED, Kind, OpenFlag, string
from client_delivery.transfer.sftp.server import LIMITS, POSIX_RENAME, SPACE, SYNC
from client_delivery.transfer.sftp.session import SftpSession
from tests.unit.transfer.sftp_wire import OK, FakeSsh, framed, status

OPENSSH = ("OpenSSH_9.2p1", ("hardlink@openssh.com", "fstatvfs@openssh.com", SYNC, POSIX_RENAME))
"""A banner and extensions that are taken for a file system."""
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG6Dg8vl5tkuekF/ib/KizHCYS9I0pIFq/8c50EsjTH9"
MISSING = status(NO_SUCH_FILE, "No such file")
_BY_HANDLE = (Kind.WRITE, Kind.READ, Kind.FSTAT, Kind.FSETSTAT, Kind.CLOSE, Kind.READDIR)


class Lost(Enum):
    """What becomes of the connection."""

    BEFORE = "before the request takes effect"
    AFTER = "when it has, before the response"


class Asked(NamedTuple):
    """One request, as a rule sees it."""

    kind: int
    name: str
    """The path; of a handle its file's."""
    other: str = ""
    """A rename's new name."""
    extension: str = ""
    flags: int = 0
    """How a file is to be opened."""


Answer = tuple[int, bytes] | Lost | None
Rule = Callable[[Asked], Answer]


class FakeServer:
    """Files and directories in memory, by POSIX rules: what is open stays open when its name is gone."""

    def __init__(self) -> None:
        self.banner = "Acme_1.0"
        self.extensions: Sequence[str] = ()
        self.files: dict[str, bytearray] = {}
        self.directories = {".", "in", "staging"}
        self.links: dict[str, str] = {}
        """Where they lead to."""
        self.mode: int | None = 0o644
        self.modified: int | None = 1_700_000_000
        self.free = 2**40
        self.asked: list[Asked] = []
        self.most = 100
        """Connections that may be open at once."""
        self.connected = 0
        self._rules: list[tuple[int, re.Pattern[str], Any]] = []
        self._handles: dict[bytes, tuple[str, bytearray]] = {}
        self._listed: set[bytes] = set()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()

    # -- for tests ---------------------------------------------------------------------------------------------------

    def answers(self, kind: int, *answers: Answer | Rule, name: str = "", times: int | None = 1) -> None:
        """Respond so to the next requests of that kind about such names, one after the other; None: as usual.

        :param times: how often that is gone through; None for always.
        """
        turns: Any = itertools.chain.from_iterable(itertools.repeat(answers, *([] if times is None else [times])))
        self._rules.append((kind, re.compile(name), turns))

    def count(self, kind: int, name: str = "") -> int:
        """How many such requests have come."""
        return sum(asked.kind == kind and re.search(name, asked.name) is not None for asked in self.asked)

    def connect(self, *_: object, learned: Learned | None = None, **__: object) -> FakeConnection:
        """In the place of ``SftpConnection``."""
        if learned is not None:
            learned.address, learned.own_address = "192.0.2.1:22", "192.0.2.9"
            learned.banner, learned.host_key, learned.accepted = self.banner, HOST_KEY, ["password"]
        if self.connected >= self.most:
            raise DestinationUnavailable(f"the server takes {self.most} connections")
        return FakeConnection(self)

    @contextmanager
    def session(self) -> Iterator[SftpSession]:
        """One connection to it."""
        connection = self.connect()
        try:
            yield connection.sftp
        finally:
            connection.close()

    # -- the server --------------------------------------------------------------------------------------------------

    def respond(self, kind: int, payload: bytes) -> Answer:
        with self._lock:
            asked, rest = self._read(kind, payload)
            self.asked.append(asked)
            answer: Any = None
            for wanted, name, turns in self._rules:
                if wanted == kind and name.search(asked.name) and (turn := next(turns, self)) is not self:
                    answer = turn(asked) if callable(turn) else turn
                    break
            if answer is Lost.AFTER:
                self._carry_out(asked, payload, rest)
                return Lost.AFTER
            return answer if answer is not None else self._carry_out(asked, payload, rest)

    def _read(self, kind: int, payload: bytes) -> tuple[Asked, bytes]:
        first, rest = taken(payload)
        if kind in _BY_HANDLE:
            return Asked(kind, self._handles.get(first, ("", bytearray()))[0]), rest
        if kind == Kind.RENAME:
            return Asked(kind, first.decode(), taken(rest)[0].decode()), rest
        if kind == Kind.EXTENDED:
            about, more = taken(rest) if rest else (b"", b"")
            name = self._handles[about][0] if about in self._handles else about.decode()
            return Asked(kind, name, taken(more)[0].decode() if more else "", first.decode()), more
        flags = struct.unpack_from(">I", rest)[0] if kind == Kind.OPEN else 0
        return Asked(kind, first.decode(), flags=flags), rest

    def _carry_out(self, asked: Asked, payload: bytes, rest: bytes) -> tuple[int, bytes]:
        kind, name = asked.kind, asked.name
        if kind == Kind.OPEN:
            return self._open(name, asked.flags)
        if kind == Kind.OPENDIR:
            return self._handle(name, bytearray()) if name in self.directories else MISSING
        if kind in _BY_HANDLE:
            return self._by_handle(asked, payload, rest)
        if kind in (Kind.STAT, Kind.LSTAT):
            return self._told(name)
        if kind == Kind.REMOVE:
            gone = self.links.pop(name, self.files.pop(name, None))
            return MISSING if gone is None else OK
        if kind == Kind.MKDIR:
            if name in self.directories or name in self.links:
                return status(FAILURE, "File exists")
            self.directories.add(name)
            return OK
        if kind == Kind.RENAME or asked.extension == POSIX_RENAME:
            return self._rename(name, asked.other, replace=kind == Kind.EXTENDED)
        if asked.extension == SYNC:
            return OK
        if asked.extension == LIMITS:
            return Kind.EXTENDED_REPLY, struct.pack(">QQQQ", 0, 0, 0, 0)
        if asked.extension == SPACE:
            return Kind.EXTENDED_REPLY, struct.pack(">QQQQQ", 4096, 1, 0, 0, self.free)
        return status(UNSUPPORTED)

    def open_anyway(self, asked: Asked) -> tuple[int, bytes]:
        """As the servers do that do not know what exclusive means."""
        return self._open(asked.name, asked.flags & ~OpenFlag.EXCLUSIVE)

    def _open(self, name: str, flags: int) -> tuple[int, bytes]:
        if str(PurePosixPath(name).parent) not in self.directories:
            return MISSING
        if name in self.directories:
            return status(FAILURE, "Is a directory")
        if (name in self.files or name in self.links) and flags & OpenFlag.EXCLUSIVE:
            return status(FAILURE, "File exists")
        name = self.links.get(name, name)
        if name not in self.files and not flags & OpenFlag.CREATE:
            return MISSING
        content = self.files.setdefault(name, bytearray())
        if flags & OpenFlag.TRUNCATE:
            del content[:]
        return self._handle(name, content)

    def _handle(self, name: str, content: bytearray) -> tuple[int, bytes]:
        handle = b"%d" % next(self._numbers)
        self._handles[handle] = (name, content)
        return Kind.HANDLE, string(handle)

    def _by_handle(self, asked: Asked, payload: bytes, rest: bytes) -> tuple[int, bytes]:
        handle, kind = taken(payload)[0], asked.kind
        content = self._handles[handle][1]
        if kind == Kind.WRITE:
            offset, (data, _) = struct.unpack_from(">Q", rest)[0], taken(rest[8:])
            content.extend(bytes(max(0, offset - len(content))))
            content[offset : offset + len(data)] = data
        elif kind == Kind.READ:
            offset, length = struct.unpack(">QI", rest)
            data = bytes(content[offset : offset + length])
            return (Kind.DATA, string(data)) if data else status(EOF)
        elif kind == Kind.FSTAT:
            return attributes(len(content), self.mode and stat.S_IFREG | self.mode, self.modified)
        elif kind == Kind.READDIR:
            if handle in self._listed:
                return status(EOF)
            self._listed.add(handle)
            folder = PurePosixPath(asked.name)
            names = [PurePosixPath(one).name for one in self.files if PurePosixPath(one).parent == folder]
            entries = [string(one) + string(f"-rw {one}") + struct.pack(">I", 0) for one in names]
            return Kind.NAME, struct.pack(">I", len(entries)) + b"".join(entries)
        return OK

    def _told(self, name: str) -> tuple[int, bytes]:
        if name in self.directories:
            return attributes(4096, stat.S_IFDIR | 0o755, self.modified)
        if name in self.links:
            return attributes(9, stat.S_IFLNK | 0o777, self.modified)
        if name in self.files:
            return attributes(len(self.files[name]), self.mode and stat.S_IFREG | self.mode, self.modified)
        return MISSING

    def _rename(self, old: str, new: str, *, replace: bool) -> tuple[int, bytes]:
        if old not in self.files or str(PurePosixPath(new).parent) not in self.directories:
            return MISSING
        if new in self.directories or (new in self.files and not replace):
            return status(FAILURE, "File exists")
        self.files[new] = self.files.pop(old)
        return OK


class FakeConnection:
    """What the engine knows of ``SftpConnection``."""

    def __init__(self, server: FakeServer) -> None:
        greeting = struct.pack(">I", 3) + b"".join(string(one) + string("1") for one in server.extensions)
        self._server = server
        self._ssh = FakeSsh(self._respond, framed(Kind.VERSION, greeting))
        self._channel = self._ssh.channel()
        server.connected += 1
        self.sftp = SftpSession(self._channel.__enter__())
        self.banner = server.banner

    def close(self) -> None:
        self._channel.__exit__(None, None, None)
        self._server.connected -= 1

    def _respond(self, kind: int, payload: bytes) -> tuple[int, bytes] | None:
        if self._ssh.eof:
            return None
        answer = self._server.respond(kind, payload)
        if isinstance(answer, Lost):
            self._ssh.eof = True
            self._ssh.say(b"")
            return None
        return answer


def attributes(size: int | None, mode: int | None = None, modified: int | None = None) -> tuple[int, bytes]:
    """A response to a stat; what is None is left out."""
    flags = (size is not None) | (mode is not None) << 2 | (modified is not None) << 3
    told = [struct.pack(">Q", size or 0)] * (size is not None) + [struct.pack(">I", mode or 0)] * (mode is not None)
    times = [struct.pack(">II", modified or 0, modified or 0)] * (modified is not None)
    return Kind.ATTRS, struct.pack(">I", flags) + b"".join([*told, *times])


def taken(payload: bytes) -> tuple[bytes, bytes]:
    """A string, and what follows it."""
    size = struct.unpack_from(">I", payload)[0]
    return payload[4 : 4 + size], payload[4 + size :]
