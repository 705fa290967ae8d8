"""Faults on order, for the HTTP stand-ins: the tests say which call fails, how, and how often.

A rule is a JSON object: ``call`` (regular expression over ``service.Operation``), ``path`` (over the path),
``skip`` (how many matching calls pass first), ``times`` (how many then fail; 0 is all), and what happens:
``status`` with ``code`` and ``message`` (an error response), ``answer`` (a JSON object as the response, with status
200), ``reset`` (``before`` or ``after`` the call took effect: the connection is cut), ``delay`` (seconds),
``truncate`` (bytes of the response's body that are sent before the connection is cut),
``corrupt`` (a byte of an object is garbled on its way or on the disk; other responses have no checksum, and TLS sees to
them). The fast stand-ins for object stores also know ``cut_after_bytes`` (of the request's body).
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape

_SPOIL = "local.spoil"


class ConnectionCutError(ConnectionError):
    """Raised to make the server drop the connection."""


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[dict[str, Any]] = []
        self._hit: list[str] = []
        self._lock = threading.Lock()

    def replace(self, rules: list[dict[str, Any]]) -> list[str]:
        """Put these rules in the place of all before; returns the calls that those befell."""
        with self._lock:
            self._rules = [{"skip": 0, "times": 1, **rule} for rule in rules]
            hit, self._hit = self._hit, []
        return hit

    def match(self, call: str, path: str) -> dict[str, Any] | None:
        """The rule that applies to this call, which is counted."""
        with self._lock:
            for rule in self._rules:
                if re.search(rule.get("call", ""), call) and re.search(rule.get("path", ""), path):
                    if rule["skip"] > 0:
                        rule["skip"] -= 1
                        continue
                    self._hit.append(call)
                    if rule["times"] == 0:
                        return rule
                    rule["times"] -= 1
                    if rule["times"] == 0:
                        self._rules.remove(rule)
                    return rule
        return None

    @contextmanager
    def around(
        self, call: str, path: str, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[Iterable[bytes] | None]:
        """Around a WSGI call: yields the response to give instead of the real one, or None.

        The real response, if there was one, goes through :func:`spoiled` with ``environ``.
        """
        rule = self.match(call, path)
        if rule is None:
            yield None
            return
        environ[_SPOIL] = rule if call == "s3.GetObject" else {**rule, "corrupt": False}
        time.sleep(rule.get("delay", 0))
        if rule.get("reset") == "before":
            cut(environ)
        if "status" in rule or "answer" in rule:
            if "answer" in rule:
                body = json.dumps(rule["answer"]).encode()
            else:
                body = error_body(call, rule.get("code", "InternalError"), rule.get("message", "fault on order"))
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(f"{rule.get('status', 200)} Fault", [("Content-Length", str(len(body)))])
            yield [body]
            return
        yield None
        if rule.get("reset") == "after":
            cut(environ)


def spoiled(environ: dict[str, Any], response: Iterable[bytes]) -> Iterable[bytes]:
    """The response's body as it arrives, where a rule says that it does not arrive whole."""
    rule = environ.get(_SPOIL, {})
    if rule.get("corrupt"):
        body = bytearray(b"".join(response))
        if body:
            body[len(body) // 2] ^= 1
        return [bytes(body)]
    if "truncate" in rule:
        return _cut_short(environ, b"".join(response), rule["truncate"])
    return response


def _cut_short(environ: dict[str, Any], body: bytes, size: int) -> Iterator[bytes]:
    yield body[:size]
    if len(body) > size:
        cut(environ)


def cut(environ: dict[str, Any]) -> None:
    """Drop the client's connection without a response."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionCutError


def error_body(call: str, code: str, message: str = "fault on order") -> bytes:
    """An error as the service of ``call`` words it."""
    if call.startswith(("dynamodb", "ecs", "events", "secretsmanager")):
        kind = f"com.amazonaws.{call.partition('.')[0]}#{code}"
        return json.dumps({"__type": kind, "message": message}).encode()
    told = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return (told if call.startswith("s3") else f"<ErrorResponse>{told}</ErrorResponse>").encode()
