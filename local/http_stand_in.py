"""What the HTTP stand-ins for object stores share: the plumbing of a request, faults on order, and a modelled network.

The model: ``rtt`` seconds pass before each response, and one connection carries at most ``rate`` bytes per second each
way (the kernel paces what is sent; what is received is read no faster).
"""

from __future__ import annotations

import argparse
import io
import json
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from local.faults import ConnectionCutError, Faults
from local.process import announce_ready

CHUNK = 1024 * 1024
_SO_MAX_PACING_RATE = 47
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class StandInError(Exception):
    """An error as the service words it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True)
class Network:
    """The modelled network."""

    rtt: float = 0.0
    """Seconds."""
    rate: int = 0
    """Bytes per second and connection; 0: as fast as it goes."""


class StandInServer(ThreadingHTTPServer):
    """The server; handlers find what they share in it."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], handler: type[StandInHandler], network: Network, tls: str | None
    ) -> None:
        super().__init__(address, handler)
        self.network = network
        self.scheme = "https" if tls else "http"
        self.faults = Faults()
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.permissions: dict[str, list[str]] = {}
        """What the account may do, by bucket; everything in a bucket that is not named."""
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(tls)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection, whose speed the model limits."""
        connection, address = super().get_request()
        if self.network.rate and sys.platform == "linux":
            connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, self.network.rate)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is nothing to report; a mistake of ours is, for the client only retries."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Headers(dict[str, str]):
    """A request's headers; names are the same in capitals. Repeated ones are joined by commas."""

    def add(self, name: str, value: str) -> None:
        """One more line."""
        name = name.lower()
        self[name] = f"{self[name]},{value}" if name in self else value

    def get(self, name: str, default: Any = None) -> Any:
        """A header's value."""
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


class StandInHandler(BaseHTTPRequestHandler):
    """One connection. A subclass routes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 256 * 1024
    server: StandInServer
    headers: Headers  # type: ignore[assignment]
    query: dict[str, str]
    left: int
    rule: dict[str, Any]
    _head = b""

    def handle_one_request(self) -> None:
        """Read one request's head, quickly: what is measured is the client."""
        try:
            line = self.rfile.readline(65537)
            words = line.split()
            if len(words) != 3:
                self.close_connection = True
                return
            self.command, self.path = words[0].decode(), words[1].decode("latin-1")
            self.headers = headers = Headers()
            while (line := self.rfile.readline(65537)) not in (b"\r\n", b"\n", b""):
                name, _, value = line.decode("latin-1").partition(":")
                headers.add(name, value.strip())
            self.close_connection = headers.get("connection", "").lower() == "close"
            if headers.get("expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.serve()
        except (ConnectionError, TimeoutError, ssl.SSLError):
            self.close_connection = True

    def serve(self) -> None:
        """Serve the request."""
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.left = int(self.headers.get("Content-Length") or 0)
        self.rule = {}
        connection = self.rfile
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.rfile = io.BufferedReader(io.BytesIO(self._unchunked()))
        try:
            self._serve(parts.path)
        finally:
            self.rfile = connection

    def _unchunked(self) -> bytes:
        """A body whose length nobody told; such clients only send small ones."""
        body = bytearray()
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.left = len(body)
        return bytes(body)

    def _serve(self, path: str) -> None:
        try:
            call, action = self.route(path)
            if path.startswith("/_local/"):
                action()  # orders to the stand-in itself: neither counted nor in trouble
                return
            self.server.counts[call] += 1
            rule = self.server.faults.match(call, unquote(path))
            if rule:
                time.sleep(rule.get("delay", 0))
                if rule.get("reset") == "before":
                    self.read(min(self.left, rule.get("after_bytes", 0)))
                    raise ConnectionCutError
                if "status" in rule:
                    self.drain()
                    told = rule.get("message", "fault on order")
                    self.fail(StandInError(rule["status"], rule.get("code", "InternalError"), told))
                    return
                self.rule = rule
            action()
        except StandInError as error:
            self.drain()
            self.fail(error)
        except ConnectionError:
            self.close_connection = True

    def route(self, path: str) -> tuple[str, Any]:
        """The call's name, and what carries it out."""
        raise NotImplementedError

    def fail(self, error: StandInError) -> None:
        """Respond with an error as the service words it."""
        raise NotImplementedError

    # -- reading -----------------------------------------------------------------------------------------------------

    def pieces(self) -> Any:
        """The request's body, as it comes; views that are valid until the next one is asked for."""
        buffer = memoryview(bytearray(min(CHUNK, max(self.left, 1))))
        rate, began, total = self.server.network.rate, time.monotonic(), 0
        cut_at = self.rule.get("cut_after_bytes")
        while self.left:
            count = self.rfile.readinto(buffer[: min(self.left, len(buffer))])
            if not count:
                raise ConnectionCutError
            self.left -= count
            total += count
            yield buffer[:count]
            if cut_at is not None and total >= cut_at:
                raise ConnectionCutError
            if rate:
                time.sleep(max(0.0, total / rate - (time.monotonic() - began)))

    def read(self, count: int) -> bytes:
        """So many bytes of the request's body."""
        body = self.rfile.read(count) if count > 0 else b""
        self.left -= len(body)
        return body

    def body(self) -> bytes:
        """The rest of the request's body."""
        return self.read(self.left)

    def drain(self) -> None:
        """Read the rest and forget it."""
        while self.left and self.read(min(self.left, CHUNK)):
            pass

    # -- responding --------------------------------------------------------------------------------------------------

    def head(self, status: int, headers: dict[str, str], length: int | None) -> None:
        """Send the response's head, when the modelled network lets it arrive."""
        if self.server.network.rtt:
            time.sleep(self.server.network.rtt)
        lines = [
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Response')}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        self._head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        if length == 0 or self.command == "HEAD" or status == 204:
            self.send_body(b"")

    def send_body(self, body: bytes | memoryview) -> None:
        """Send bytes of the response's body; the first ones together with its head."""
        head, self._head = self._head, b""
        if len(body) > 64 * 1024:
            if head:
                self.connection.sendall(head)
            self.connection.sendall(body)
        elif head or body:
            self.connection.sendall(head + bytes(body))

    def respond(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        """Send a short response."""
        size = len(body) if length is None else length
        self.head(status, headers or {}, None if status == 204 else size)
        if self.command != "HEAD" and body:
            shown = body[: self.rule.get("truncate", len(body))]
            self.send_body(shown)
            if len(shown) < len(body):
                raise ConnectionCutError

    def json(self, status: int, value: Any) -> None:
        """Respond with JSON."""
        self.respond(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def xml(self, body: str, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Respond with XML."""
        self.respond(status, body.encode(), {"Content-Type": "application/xml", **(headers or {})})

    def effect_then(self, respond: Any) -> None:
        """The call has taken effect; its response may be lost on order."""
        if self.rule.get("reset") == "after":
            raise ConnectionCutError
        respond()

    def control(self, path: str) -> Any:
        """``/_local/requests``, ``/_local/faults`` and ``/_local/permissions``; None if it is none of them."""
        body = self.body()
        if path == "/_local/requests":
            counts = dict(self.server.counts)
            if self.command == "DELETE":
                self.server.counts.clear()
            return counts
        if path == "/_local/faults":
            return self.server.faults.replace(json.loads(body or b"[]"))
        if path == "/_local/permissions":
            self.server.permissions = json.loads(body or b"{}")
            return self.server.permissions
        return None


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every stand-in has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rtt", type=float, default=0.0, help="modelled round trip, seconds")
    parser.add_argument("--rate", type=int, default=0, help="modelled bytes per second and connection")
    parser.add_argument("--tls", metavar="PEM", help="key and certificate: serve HTTPS")
    return parser


def serve(server: StandInServer) -> None:
    """Serve until ended."""
    announce_ready(port=server.server_port)
    server.serve_forever()
