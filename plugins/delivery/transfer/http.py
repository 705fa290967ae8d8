"""HTTP/1.1 over kept-alive connections, with nothing between the socket and the caller's buffer.

The standard library speaks the protocol; a general HTTP client on top of it would copy every byte several times and
cost more CPU per small file than S3 and Google together. What to send and how to sign it is the callers' business.
"""

from __future__ import annotations

import http.client
import os
import random
import select
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

_CONNECT_SECONDS = 10
_SILENCE_SECONDS = 60
_ATTEMPTS = 6
_LONGEST_PAUSE = 16.0
_MOST_ERROR_BYTES = 64 * 1024
_MOST_DRAINED = 16 * 1024
"""What is left of an answer up to here is read, so that the connection can be used again."""
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that mean: later. S3's Slow Down is a 503, Google's rate limit a 429."""


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


class Unreachable(Exception):
    """No answer: the server cannot be reached, or broke off or fell silent before it gave one."""


class BrokenOff(Exception):
    """The answer's body did not come to its end."""


class Response:
    """An answer whose head has been read. Close it, or leave its ``with`` block, to give the connection back."""

    def __init__(self, answer: http.client.HTTPResponse, release: Callable[[bool], None]) -> None:
        self._answer = answer
        self._release: Callable[[bool], None] | None = release
        self.status = answer.status
        self.headers: Message = answer.headers
        self.repeated = False
        """Whether the request was sent before, and may have taken effect, without an answer that counts."""

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; fewer bytes only at the body's end. Raises :class:`BrokenOff`."""
        with _broken_off():
            return self._answer.readinto(buffer)

    def read(self) -> bytes:
        """The rest of a short body. Raises :class:`BrokenOff`."""
        with _broken_off():
            return self._answer.read()

    def close(self) -> None:
        """Give the connection back if the body has been read; otherwise cut it."""
        if self._release is not None:
            if not self._answer.isclosed() and (self._answer.length or _MOST_DRAINED) < _MOST_DRAINED:
                with suppress(BrokenOff):
                    self.read()
            whole = self._answer.isclosed() or self._answer.length == 0
            release, self._release = self._release, None
            self._answer.close()
            release(whole and not self._answer.will_close)


class HttpPool:
    """Connections, kept alive for the next request to the same server. For any number of threads.

    :param ca_file: certificates of the authorities to trust, in the place of the usual ones.
    """

    def __init__(self, *, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def exchange(
        self, build: Callable[[], Request], *, accept: Callable[[Response], bool] = lambda answer: answer.status < 300
    ) -> Response:
        """Send what ``build`` makes and return the answer, when it is accepted or no better one will come.

        While the trouble is of the passing kind (no answer, throttling, a server's error) it is tried again, each
        time built, and so signed, anew, after growing pauses with full jitter: streams that were turned away together
        do not come back together. Raises :class:`Unreachable` after the last try.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                answer = self.send(build())
            except Unreachable:
                if last:
                    raise
            else:
                answer.repeated = answer.repeated or attempt > 1
                if last or accept(answer) or answer.status not in _PASSING:
                    return answer
                answer.close()
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.25 * 2**attempt)))  # noqa: S311 - not for secrecy
        raise AssertionError

    def send(self, request: Request) -> Response:
        """Send one request, once. Raises :class:`Unreachable`."""
        parts = urlsplit(request.url)
        server = (parts.scheme, parts.netloc)
        target = request.url[len(parts.scheme) + 3 + len(parts.netloc) :] or "/"
        repeated = False
        while True:
            connection = self._taken(server)
            reused = connection is not None
            try:
                connection = connection or self._connected(*server)
                answer = _exchanged(connection, request, parts.netloc, target)
            except (OSError, http.client.HTTPException) as error:
                if connection is not None:
                    connection.close()
                if reused and isinstance(error, (ConnectionError, http.client.BadStatusLine)):
                    repeated = True
                    continue  # it had been closed while it was idle; in the end a fresh one tells
                raise Unreachable(f"{parts.netloc}: {_reason(error)}") from error
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            response = Response(answer, partial(self._done, server, connection))
            response.repeated = repeated
            return response

    def _taken(self, server: tuple[str, str]) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                idle = self._idle.get(server)
                if not idle:
                    return None
                connection = idle.pop()
            # Something to read on an idle connection is its end.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()

    def _done(self, server: tuple[str, str], connection: http.client.HTTPConnection, keep: bool) -> None:
        if not keep:
            connection.close()
            return
        with self._lock:
            self._idle.setdefault(server, []).append(connection)

    def _connected(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if scheme == "https":
            proxy = None if proxy_bypass_environment(netloc) else getproxies_environment().get("https")
            through = urlsplit(proxy if "://" in proxy else f"//{proxy}").netloc if proxy else netloc
            connection = http.client.HTTPSConnection(through, timeout=_CONNECT_SECONDS, context=self._tls_context())
            if proxy:
                connection.set_tunnel(netloc)
        else:
            connection = http.client.HTTPConnection(netloc, timeout=_CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(_SILENCE_SECONDS)
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                import certifi

                trusted = self._ca_file or os.environ.get("SSL_CERT_FILE") or certifi.where()
                self._tls = ssl.create_default_context(cafile=trusted)
                self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
            return self._tls


def error_code(answer: Response) -> tuple[str, str]:
    """The code and the message of an error as S3 and Google word it in XML; the status where there is none."""
    from xml.etree import ElementTree

    code = message = None
    with suppress(BrokenOff, ElementTree.ParseError):
        tree = ElementTree.fromstring(answer.read()[:_MOST_ERROR_BYTES])  # noqa: S314 - the service's own answer
        code, message = tree.findtext("{*}Code"), tree.findtext("{*}Message")
    return code or str(answer.status), message or http.client.responses.get(answer.status, "")


def _exchanged(
    connection: http.client.HTTPConnection, request: Request, host: str, target: str
) -> http.client.HTTPResponse:
    connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    if request.body or request.method in ("PUT", "POST"):
        connection.putheader("Content-Length", str(len(request.body)))
    pieces: Iterable[Any] = (request.body,) if isinstance(request.body, bytes) else request.body
    try:
        connection.endheaders()
        for piece in pieces:
            if piece:
                connection.sock.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        # A server that refuses does not wait for the body's end: its answer may be there all the same.
        answer = connection.getresponse()
        answer.will_close = True
        return answer
    return connection.getresponse()


@contextmanager
def _broken_off() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise BrokenOff(_reason(error)) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return type(error).__name__
