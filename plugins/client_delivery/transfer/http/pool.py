"""Kept-alive connections, and requests that are retried while the trouble is temporary."""

from __future__ import annotations

import select
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from client_delivery.runtime.backoff import Backoff
from client_delivery.transfer.http.connection import Garbled, Head, HttpConnection, Request, tls_context

_ATTEMPTS = 6
_BACKOFF = Backoff(first=0.5, longest=16.0)
_MOST_ERROR_BYTES = 64 * 1024
_MOST_DRAINED = 16 * 1024
"""Up to this much of a response is read to its end, so that the connection can be used again."""
_SURELY_OPEN = 1.0
"""Seconds for which nobody looks whether an idle connection is still open."""
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Responses that mean: later. S3's Slow Down is a 503, Google's rate limit a 429."""
_PASSING_CODES = frozenset({"RequestTimeout", "ConditionalRequestConflict", "OperationAborted"})
"""Codes of S3 that mean the same under a 400 or 409: a body that stood still, and another write at the same moment."""


class Unreachable(Exception):
    """No response: the server cannot be reached, or broke off or fell silent before it gave one."""


class BrokenOff(Exception):
    """The response's body ended early."""


class Response:
    """A response whose head has been read. Close it, or leave its ``with`` block, to give the connection back."""

    def __init__(self, connection: HttpConnection, head: Head, release: Callable[[bool], None]) -> None:
        self._connection = connection
        self._head = head
        self._left = head.length
        self._release: Callable[[bool], None] | None = release
        self.status = head.status
        self.headers: Mapping[str, str] = head.headers
        """By name in small letters."""
        self.error: tuple[str, str] | None = None
        """Code and reason, once :func:`error_code` has read them."""
        self.repeated = False
        """Whether the request was sent before, and may have taken effect, without a response that counts."""

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer; fewer bytes at the body's end, and none after it. Raises :class:`BrokenOff`."""
        if self._left is None:
            raise BrokenOff("the response has no length")
        wanted = min(len(buffer), self._left)
        try:
            count = self._connection.readinto(buffer[:wanted])
        except OSError as error:
            raise BrokenOff(_reason(error)) from error
        self._left -= count
        if not count and wanted:
            raise BrokenOff(f"the response ended {self._left} bytes early")
        return count

    def read(self) -> bytes:
        """The rest of a short body. Raises :class:`BrokenOff`."""
        if self._left is not None:
            content = bytearray(self._left)
            filled = 0
            while filled < len(content):
                filled += self.readinto(memoryview(content)[filled:])
            return bytes(content)
        try:
            content = bytearray()
            for chunk in self._connection.chunks():
                content += chunk
        except (OSError, ValueError) as error:
            raise BrokenOff(_reason(error)) from error
        self._left = 0
        return bytes(content)

    def close(self) -> None:
        """Give the connection back if the body has been read; otherwise cut it."""
        if self._release is None:
            return
        if self._left and self._left <= _MOST_DRAINED:
            with suppress(BrokenOff):
                self.read()
        release, self._release = self._release, None
        release(self._left == 0 and not self._head.closes)


class HttpPool:
    """Connections, kept alive for the next request to the same server. For any number of threads."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[tuple[float, HttpConnection]]] = {}
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for _, connection in connections:
                connection.close()

    def exchange(
        self,
        build: Callable[[], Request],
        *,
        accept: Callable[[Response], bool] = lambda response: response.status < 300,
    ) -> Response:
        """Send what ``build`` makes and return the response, once it is accepted or no better one will come.

        While the trouble is temporary (no response, throttling, a server's error) the request is retried, each
        time built, and so signed, again, after growing pauses with full jitter: streams that were refused together do
        not come back together. Raises :class:`Unreachable` after the last try.
        """
        attempt = 0
        while True:
            attempt += 1
            last = attempt == _ATTEMPTS
            try:
                response = self.send(build())
            except Unreachable:
                if last:
                    raise
            else:
                response.repeated = response.repeated or attempt > 1
                if last or accept(response) or not _passes(response):
                    return response
                response.close()
            _BACKOFF.wait(attempt)

    def send(self, request: Request) -> Response:
        """Send one request, once. Raises :class:`Unreachable`."""
        scheme, _, rest = request.url.partition("://")
        host, slash, path = rest.partition("/")
        server = (scheme, host)
        repeated = False
        while True:
            connection = self._taken(server)
            reused = connection is not None
            try:
                connection = connection or HttpConnection(server, self._tls_context() if scheme == "https" else None)
                head = connection.exchange(request, slash + path or "/")
            except (OSError, Garbled) as error:
                if connection is not None:
                    connection.close()
                if reused and isinstance(error, ConnectionError):
                    repeated = True
                    continue  # it had been closed while it was idle; in the end a fresh one tells
                raise Unreachable(f"{host}: {_reason(error)}") from error
            except BaseException:
                if connection is not None:
                    connection.close()
                raise
            response = Response(connection, head, partial(self._done, server, connection))
            response.repeated = repeated
            return response

    def _taken(self, server: tuple[str, str]) -> HttpConnection | None:
        while True:
            with self._lock:
                idle = self._idle.get(server)
                if not idle:
                    return None
                since, connection = idle.pop()
            # Something to read on an idle connection is its end.
            if time.monotonic() - since < _SURELY_OPEN or not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()

    def _done(self, server: tuple[str, str], connection: HttpConnection, keep: bool) -> None:
        if not keep:
            connection.close()
            return
        with self._lock:
            self._idle.setdefault(server, []).append((time.monotonic(), connection))

    def _tls_context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = tls_context()
            return self._tls


def error_code(response: Response) -> tuple[str, str]:
    """The code and the reason of an error as S3 and Google word it in XML; the status where there is none.

    Google's reason is in ``Details``, and ``Message`` only words the code.
    """
    if response.error is None:
        response.error = _error_in(response)
    return response.error


def _error_in(response: Response) -> tuple[str, str]:
    from xml.etree import ElementTree

    code = None
    told: list[str] = []
    with suppress(BrokenOff, ElementTree.ParseError):
        tree = ElementTree.fromstring(response.read()[:_MOST_ERROR_BYTES])  # noqa: S314 - the service's own response
        code = tree.findtext("{*}Code")
        told = [text for tag in ("Message", "Details") if (text := (tree.findtext(f"{{*}}{tag}") or "").strip())]
    return code or str(response.status), " ".join(told) or "no reason given"


def _passes(response: Response) -> bool:
    return response.status in _PASSING or (response.status in (400, 409) and error_code(response)[0] in _PASSING_CODES)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return str(error) or type(error).__name__
