"""An SFTP server without a network: what libssh would hand to the channel, in this process."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from client_delivery.transfer.sftp.channel import SftpChannel
from client_delivery.transfer.sftp.packets import EOF, NO_SUCH_FILE, Kind, string

Handler = Callable[[int, bytes], tuple[int, bytes] | None]
"""Takes a request's type and payload; returns the response's type and body, or None for no response."""


def status(code: int, message: str = "") -> tuple[int, bytes]:
    """A status response."""
    return Kind.STATUS, struct.pack(">I", code) + string(message) + string("en")


OK = status(0)


def framed(kind: int, rest: bytes) -> bytes:
    """One packet of the wire."""
    return struct.pack(">IB", 1 + len(rest), kind) + rest


class FakeSsh:
    """Both the libssh session and its channel, as far as :class:`SftpChannel` uses them.

    Requests go to ``respond`` as soon as they are whole; the responses are read from here. ``window`` limits what one
    write takes.
    """

    def __init__(self, respond: Handler, greeting: bytes | None = None) -> None:
        self.respond = respond
        self.greeting = framed(Kind.VERSION, struct.pack(">I", 3)) if greeting is None else greeting
        self.window = 1 << 21
        self.writes: list[int] = []
        self.ignored = 0
        self.eof = False
        self.mine, self._wake = socket.socketpair()
        self._asked = bytearray()
        self._responses = bytearray()

    def window_size(self) -> int:
        return self.window

    def write(self, piece: bytes) -> None:
        assert len(piece) <= self.window, "more than the window takes"
        self.writes.append(len(piece))
        self._asked += piece
        while len(self._asked) >= 4 and len(self._asked) - 4 >= (size := struct.unpack_from(">I", self._asked)[0]):
            packet, self._asked = bytes(self._asked[4 : 4 + size]), self._asked[4 + size :]
            if packet[0] == Kind.INIT:
                self.say(self.greeting)
            elif (found := self.respond(packet[0], packet[5:])) is not None:
                self.say(framed(found[0], packet[1:5] + found[1]))

    def say(self, data: bytes) -> None:
        """Let these bytes arrive."""
        self._responses += data
        with suppress(OSError):  # the client has given the connection up
            self._wake.send(b"!")

    def read_nonblocking(self, most: int) -> tuple[int, bytes]:
        if not self.eof:  # that is to be noticed, whoever reads what comes before it
            with suppress(OSError):
                self.mine.recv(1 << 16, socket.MSG_DONTWAIT)
        data, self._responses = bytes(self._responses[:most]), self._responses[most:]
        return len(data), data

    def is_eof(self) -> bool:
        return self.eof and not self._responses

    def is_closed(self) -> bool:
        return False

    def send_ignore(self, _: bytes) -> None:
        self.ignored += 1

    @contextmanager
    def channel(self, silence: float = 5.0) -> Iterator[SftpChannel]:
        """The client's side of it."""
        channel = SftpChannel(self, self, self.mine, silence=silence)
        try:
            yield channel
        finally:
            channel.close()
            self.mine.close()
            self._wake.close()


class FakeFiles:
    """A server with files in memory; ``refuse`` has the status for a type of request that it does not carry out."""

    def __init__(self) -> None:
        self.files: dict[str, bytearray] = {}
        self.refuse: dict[int, tuple[int, bytes]] = {}
        self.asked: list[int] = []
        self._listed: set[str] = set()

    def __call__(self, kind: int, payload: bytes) -> tuple[int, bytes] | None:
        self.asked.append(kind)
        if kind in self.refuse:
            return self.refuse[kind]
        first, rest = _string(payload)
        name = first.decode()
        if kind == Kind.OPEN:
            if struct.unpack_from(">I", rest)[0] & 0x08:
                self.files[name] = bytearray()
            return (Kind.HANDLE, string(name)) if name in self.files else status(NO_SUCH_FILE, "No such file")
        if kind == Kind.WRITE:
            offset, (data, _) = struct.unpack_from(">Q", rest)[0], _string(rest[8:])
            self.files[name][offset : offset + len(data)] = data
            return OK
        if kind == Kind.READ:
            offset, length = struct.unpack(">QI", rest)
            data = bytes(self.files[name][offset : offset + length])
            return (Kind.DATA, string(data)) if data else status(EOF)
        if kind in (Kind.STAT, Kind.LSTAT, Kind.FSTAT):
            if name not in self.files:
                return status(NO_SUCH_FILE, "No such file")
            return Kind.ATTRS, struct.pack(">IQ", 0x01, len(self.files[name]))
        if kind == Kind.RENAME:
            self.files[_string(rest)[0].decode()] = self.files.pop(name)
            return OK
        if kind == Kind.REMOVE:
            return OK if self.files.pop(name, None) is not None else status(NO_SUCH_FILE, "No such file")
        if kind == Kind.OPENDIR:
            self._listed.discard(name)
            return Kind.HANDLE, string(name)
        if kind == Kind.READDIR:
            if name in self._listed:
                return status(EOF)
            self._listed.add(name)
            entries = [string(one) + string(f"-rw {one}") + struct.pack(">I", 0) for one in self.files]
            return Kind.NAME, struct.pack(">I", len(entries)) + b"".join(entries)
        return OK


def _string(payload: bytes) -> tuple[bytes, bytes]:
    size = struct.unpack_from(">I", payload)[0]
    return payload[4 : 4 + size], payload[4 + size :]
