"""What a server can do, asked packet by packet with paramiko's transport: no client library stands in between."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paramiko

from local.sshd import SftpServer

INIT, VERSION, OPEN, CLOSE, WRITE, FSTAT, STAT, RENAME, EXTENDED = 1, 2, 3, 4, 6, 8, 17, 18, 200
STATUS, HANDLE, ATTRS = 101, 102, 105
READ_FLAG, WRITE_FLAG, CREATE, TRUNCATE, EXCLUSIVE = 1, 2, 8, 16, 32
CONTENT = b"content"


class Session:
    """A raw SFTP session; one request at a time."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        channel.invoke_subsystem("sftp")
        self._send(struct.pack(">BI", INIT, 3))
        kind, body = self._receive()
        assert kind == VERSION
        self.window, self.largest_packet = channel.out_window_size, channel.out_max_packet_size
        self.extensions = [name.decode() for name in _strings(body[4:])[::2]]

    def ask(self, kind: int, *parts: bytes) -> tuple[int, bytes]:
        """The response's type and its body."""
        self._send(struct.pack(">BI", kind, next(self._numbers)) + b"".join(parts))
        answered, body = self._receive()
        return answered, body[4:]

    def open(self, path: str, flags: int) -> bytes | None:
        """A handle, or None if it is refused."""
        kind, body = self.ask(OPEN, string(path), struct.pack(">II", flags, 0))
        return _strings(body)[0] if kind == HANDLE else None

    def write(self, handle: bytes, content: bytes, offset: int = 0) -> bool:
        """Whether it was taken."""
        return self.done(WRITE, string(handle), struct.pack(">Q", offset), string(content))

    def close(self, handle: bytes | None) -> bool:
        """Whether it succeeded."""
        return handle is not None and self.done(CLOSE, string(handle))

    def done(self, kind: int, *parts: bytes) -> bool:
        """Whether the status was success."""
        answered, body = self.ask(kind, *parts)
        return answered == STATUS and struct.unpack_from(">I", body)[0] == 0

    def size(self, kind: int, what: bytes) -> int | None:
        """What STAT or FSTAT tells."""
        answered, body = self.ask(kind, what)
        if answered != ATTRS or not struct.unpack_from(">I", body)[0] & 1:
            return None
        return int(struct.unpack_from(">Q", body, 4)[0])

    def new_file(self, path: str) -> None:
        """A file with some content."""
        handle = self.open(path, WRITE_FLAG | CREATE | TRUNCATE)
        assert handle is not None
        assert self.write(handle, CONTENT)
        assert self.close(handle)

    def _send(self, packet: bytes) -> None:
        self._channel.sendall(struct.pack(">I", len(packet)) + packet)

    def _receive(self) -> tuple[int, bytes]:
        length = struct.unpack(">I", self._exactly(4))[0]
        packet = self._exactly(length)
        return packet[0], packet[1:]

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self._channel.recv(length - len(data))
            assert more, "the server closed the session"
            data += more
        return data


def string(value: str | bytes) -> bytes:
    """A string of the protocol."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(data)) + data


def _strings(data: bytes) -> list[bytes]:
    found, position = [], 0
    while position + 4 <= len(data):
        length = struct.unpack_from(">I", data, position)[0]
        found.append(data[position + 4 : position + 4 + length])
        position += 4 + length
    return found


@contextmanager
def session(server: SftpServer) -> Iterator[tuple[str, Session]]:
    """Log in; yields the server's banner and a session."""
    transport = paramiko.Transport((server.host, server.port))
    try:
        transport.start_client(timeout=30)
        key = transport.get_remote_server_key()
        assert f"{key.get_name()} {key.get_base64()}" == server.host_key
        if server.password:
            transport.auth_password(server.username, server.password)
        else:
            private = paramiko.Ed25519Key.from_private_key(io.StringIO(server.private_key))
            transport.auth_publickey(server.username, private)
        channel = transport.open_session()
        channel.settimeout(30)
        yield transport.remote_version, Session(channel)
    finally:
        transport.close()


def facts(server: SftpServer, folder: str) -> dict[str, str]:
    """What the table says of a server; ``folder`` exists and is empty."""
    with session(server) as (banner, sftp):
        return {
            "banner": banner,
            "window": _amount(sftp.window),
            "largest packet": _amount(sftp.largest_packet),
            "extensions": _listed(sftp.extensions),
            "exclusive create": _exclusive(sftp, folder),
            "size before close": _size_before_close(sftp, folder),
            "opened again for writing": _opened_again(sftp, folder),
            "two handles at once": _two_handles(sftp, folder),
            "RENAME over a file": _rename_over(sftp, folder),
        }


def _exclusive(sftp: Session, folder: str) -> str:
    flags = WRITE_FLAG | CREATE | EXCLUSIVE
    first = sftp.open(f"{folder}/exclusive", flags)
    if first is None:
        return "refused"
    sftp.close(first)
    second = sftp.open(f"{folder}/exclusive", flags)
    return "yes" if second is None or not sftp.close(second) else "**no: opens what is there**"


def _size_before_close(sftp: Session, folder: str) -> str:
    handle = sftp.open(f"{folder}/grows", WRITE_FLAG | CREATE | TRUNCATE)
    assert handle is not None
    sftp.write(handle, CONTENT)
    size = sftp.size(FSTAT, string(handle))
    sftp.close(handle)
    return "right" if size == len(CONTENT) else "**refused**" if size is None else f"**{size}**"


def _opened_again(sftp: Session, folder: str) -> str:
    path = f"{folder}/again"
    sftp.new_file(path)
    handle = sftp.open(path, WRITE_FLAG)
    if handle is None:
        return "**refused**"
    if not sftp.close(handle):
        return "**refused at close**"
    size = sftp.size(STAT, string(path))
    return "keeps what is there" if size == len(CONTENT) else f"**{size} bytes are left**"


def _two_handles(sftp: Session, folder: str) -> str:
    path = f"{folder}/two"
    first = sftp.open(path, WRITE_FLAG | CREATE | TRUNCATE)
    second = sftp.open(path, WRITE_FLAG)
    if first is None or second is None:
        sftp.close(first)
        return "**refused**"
    taken = sftp.write(second, b"second", len(CONTENT)) and sftp.write(first, CONTENT)
    closed = sftp.close(first) and sftp.close(second)
    if not (taken and closed):
        return "**refused**"
    size = sftp.size(STAT, string(path))
    return "one file" if size == len(CONTENT) + len(b"second") else "**one overwrites the other**"


def _rename_over(sftp: Session, folder: str) -> str:
    for name in ("old", "new"):
        sftp.new_file(f"{folder}/{name}")
    return "**replaces it**" if sftp.done(RENAME, string(f"{folder}/new"), string(f"{folder}/old")) else "refused"


def _amount(size: int) -> str:
    """In KiB; the window has let the greeting through already."""
    kib = -(-size // 1024)
    return f"{kib} KiB" if kib < 1024 else "1 MiB and more"


_SHOWN = ("posix-rename", "fsync", "limits")


def _listed(extensions: list[str]) -> str:
    """Those that the engine uses."""
    return ", ".join(name for name in _SHOWN if f"{name}@openssh.com" in extensions) or "none"
