"""One HTTP/1.1 connection, with nothing between the socket and the caller's buffer.

The standard library's client would do, but for small files: it spends more CPU on one response's head than everything
else here on the whole file. Only what S3 and Google Cloud Storage send is understood; anything else is an error.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from client_delivery.transfer.pace import TOO_SLOW, Pace

_CONNECT_SECONDS = 10
_SILENCE_SECONDS = 60
_LONGEST_WORK = 1800.0
"""Seconds for which S3 may send blanks before it says what came of a copy or a completed upload: "several minutes"
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)."""
_LONGEST_LINE = 16 * 1024
_MOST_HEADERS = 200
_JOINED = 256 * 1024
_READ_BUFFER = 128 * 1024


class Body(Protocol):
    """What a request carries: iterated once for every try, each time from its beginning."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes | memoryview]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to be sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Body = b""
    patience: int = _SILENCE_SECONDS
    """Seconds of silence after which the server counts as gone."""


@dataclass(frozen=True, slots=True)
class Head:
    """A response's head."""

    status: int
    headers: Mapping[str, str]
    """By name in small letters."""
    length: int | None
    """Of the body, bytes; None if it comes in chunks."""
    closes: bool
    """Whether the connection ends with this response."""


class Garbled(Exception):
    """What came is not an HTTP response."""


class HttpConnection:
    """An open connection. Raises OSError and :class:`Garbled`, after which it is of no use.

    :param server: scheme, and host with its port.
    """

    def __init__(self, server: tuple[str, str], tls: ssl.SSLContext | None) -> None:
        self._host = server[1]
        self.sock = _connected(server, tls)
        self._patience = 0
        self._pace = Pace()
        self._deadline: float | None = None
        """When what is awaited must have come whole; None for a body, which has its pace."""
        # One system call fills a buffer; TLS hands out one record at a time whatever it is asked.
        self._fill = 0 if tls else socket.MSG_WAITALL
        self._buffer = bytearray(_READ_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def close(self) -> None:
        """Close it."""
        self.sock.close()

    def exchange(self, request: Request, target: str) -> Head:
        """Send a request and read the response's head."""
        head = _head(request, self._host, target)
        self._be_patient(request.patience)
        try:
            self._send(head, request.body)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses does not wait for the body's end: its response may already be there.
            response = self._read_head(request.method, request.patience)
            return Head(response.status, response.headers, response.length, closes=True)
        return self._read_head(request.method, request.patience)

    def _be_patient(self, seconds: int) -> None:
        """The kernel minds the time: Python's own timeouts would cost a system call more for every read and write.

        Not below TLS: there Python reads again, for ever, when the kernel says that the time is over.
        """
        if seconds != self._patience:
            if isinstance(self.sock, ssl.SSLSocket):
                self.sock.settimeout(seconds)
                self._patience = seconds
                return
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                self.sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", seconds, 0))
            self._patience = seconds

    def readinto(self, buffer: memoryview) -> int:
        """Bytes of the response's body; fewer than fit only at the connection's end, or before its failure."""
        filled = min(len(buffer), self._end - self._start)
        buffer[:filled] = self._view[self._start : self._start + filled]
        self._start += filled
        while filled < len(buffer):
            began = time.monotonic()
            try:
                count = self.sock.recv_into(buffer[filled:], 0, self._fill)
            except OSError:
                if not filled:
                    raise
                break
            if not count:
                break
            filled += count
            self._require_progress(began, count)
        return filled

    def _require_progress(self, began: float, count: int) -> None:
        """The kernel only minds silence, and a byte now and then is none."""
        now = time.monotonic()
        if self._deadline is not None:
            if now > self._deadline:
                raise TimeoutError("the server's response does not end")
        elif self._pace.too_slow(now - began, count):
            raise TimeoutError(f"the server sends {TOO_SLOW}")

    def chunks(self) -> Iterator[bytes]:
        """A body that comes in chunks: never an object, but what S3 says, with blanks while it is still at work."""
        self._deadline = time.monotonic() + _LONGEST_WORK
        while size := int(self._line().partition(b";")[0], 16):
            chunk = bytearray(size)
            if self.readinto(memoryview(chunk)) < size:
                raise ConnectionResetError("the response broke off")
            yield bytes(chunk)
            self._line()
        while self._line():
            pass

    def _send(self, head: bytes, body: bytes | Body) -> None:
        if isinstance(body, bytes) and len(body) <= _JOINED:
            self._send_all(head + body)
            return
        self._send_all(head)
        for piece in (body,) if isinstance(body, bytes) else body:
            self._send_all(piece)

    def _send_all(self, data: bytes | memoryview) -> None:
        try:
            self.sock.sendall(data)
        except ssl.SSLEOFError as error:
            # What Python makes of a broken pipe below TLS; who calls must not need to know about TLS.
            raise BrokenPipeError(errno.EPIPE, "the server closed the connection") from error

    def _read_head(self, method: str, patience: int) -> Head:
        self._deadline = time.monotonic() + patience + _SILENCE_SECONDS
        while True:
            first = self._line()
            if not first.startswith(b"HTTP/1.") or not first[9:12].isdigit():
                raise Garbled("the response is not HTTP")
            status = int(first[9:12])
            headers: dict[str, str] = {}
            while line := self._line():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
                if len(headers) > _MOST_HEADERS:
                    raise Garbled("the response has too many headers")
            if status >= 200:
                break
        self._deadline = None
        closes = first.startswith(b"HTTP/1.0") or headers.get("connection", "").lower() == "close"
        length: int | None
        if method == "HEAD" or status in (204, 304):
            length = 0
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            length = None
        elif headers.get("content-length", "").isdigit():
            length = int(headers["content-length"])
        else:
            raise Garbled("the response does not say where it ends")
        return Head(status, headers, length, closes)

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", self._start, self._end)) < 0:
            if self._end - self._start >= _LONGEST_LINE:
                raise Garbled("the response has a line that is too long")
            self._buffer[: self._end - self._start] = self._view[self._start : self._end]
            self._start, self._end = 0, self._end - self._start
            began = time.monotonic()
            count = self.sock.recv_into(self._view[self._end :])
            if not count:
                raise ConnectionResetError("the connection was closed")
            self._require_progress(began, count)
            self._end += count
        if end - self._start > _LONGEST_LINE:
            raise Garbled("the response has a line that is too long")
        line = bytes(self._view[self._start : end]).rstrip(b"\r")
        self._start = end + 1
        return line


def tls_context() -> ssl.SSLContext:
    """Certificates are verified, and so are the servers' names."""
    context = ssl.create_default_context(cafile=trusted_authorities())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def trusted_authorities() -> str:
    """The file of the certificate authorities to trust."""
    import certifi

    return os.environ.get("SSL_CERT_FILE") or certifi.where()


def _head(request: Request, host: str, target: str) -> bytes:
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    if request.body or request.method in ("PUT", "POST"):
        lines.append(f"Content-Length: {len(request.body)}")
    text = "\r\n".join(lines)
    if text.count("\r") != len(lines) - 1 or text.count("\n") != len(lines) - 1:
        raise ValueError("a line break in a request's head")
    return f"{text}\r\n\r\n".encode("latin-1")


def _connected(server: tuple[str, str], tls: ssl.SSLContext | None) -> Any:
    """The standard library knows how: names, TLS, and an https proxy if the environment names one."""
    scheme, host = server
    connection: http.client.HTTPConnection
    if scheme == "https":
        proxy = None if proxy_bypass_environment(host) else getproxies_environment().get("https")
        through = urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc if proxy else host
        connection = http.client.HTTPSConnection(through, timeout=_CONNECT_SECONDS, context=tls)
        if proxy:
            connection.set_tunnel(host)
    else:
        connection = http.client.HTTPConnection(host, timeout=_CONNECT_SECONDS)
    try:
        connection.connect()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    connection.sock.settimeout(None)
    return connection.sock
