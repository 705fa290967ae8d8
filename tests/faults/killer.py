"""Ends a process at one of the external calls that it makes.

The kill is a real SIGKILL: nothing is cleaned up, no ``finally`` runs. ``before`` a call it has not reached the
service; ``after`` it the service has carried it out, and the answer is lost with the process.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import botocore.httpsession

from client_delivery.transfer.http.connection import HttpConnection
from client_delivery.transfer.sftp.channel import SftpChannel

When = Literal["before", "after"]


class Killer:
    """Counts the process's external calls and ends it at the ``at``-th, or at the first that ``at`` matches."""

    def __init__(self, at: int | str, when: When, notes: Path) -> None:
        self._at = at
        self._when = when
        self._notes = notes
        self._count = 0
        self._lock = threading.Lock()

    def around(self, name: str, call: Callable[[], Any], wait: Callable[[Any], None] = lambda _: None) -> Any:
        """Make one call, if this is not its end; ``wait`` waits until the service has carried it out."""
        with self._lock:
            self._count += 1
            mine = self._count == self._at if isinstance(self._at, int) else bool(re.search(self._at, name))
            if mine:
                self._notes.write_text(f"{self._count} {name[:120]}")
        if mine and self._when == "before":
            _die()
        answer = call()
        if mine:
            wait(answer)
            _die()
        return answer

    def finished(self) -> None:
        """The run came to its end."""
        self._notes.write_text(f"{self._count} end")

    def install(self) -> None:
        """Stand between this process and everything outside of it."""
        send, exchange = botocore.httpsession.URLLib3Session.send, HttpConnection.exchange
        ask, ask_together = SftpChannel.ask, SftpChannel.ask_together

        def aws(session: Any, request: Any) -> Any:
            target = request.headers.get("X-Amz-Target", b"")
            name = target.decode() if isinstance(target, bytes) else str(target)
            return self.around(f"aws {request.method} {name or request.url}", lambda: send(session, request))

        def http(connection: Any, request: Any, target: str) -> Any:
            return self.around(f"http {request.method} {target}", lambda: exchange(connection, request, target))

        def sftp(channel: Any, kind: int, payload: bytes, data: Any = b"", **how: Any) -> int:
            request: int = self.around(
                f"sftp {kind}",
                lambda: ask(channel, kind, payload, data, **how),
                lambda request: _answered(channel, [request]),
            )
            return request

        def sftp_together(channel: Any, requests: Any, **how: Any) -> list[int]:
            asked: list[int] = self.around(
                f"sftp {'+'.join(str(one[0]) for one in requests)}",
                lambda: ask_together(channel, requests, **how),
                lambda asked: _answered(channel, asked),
            )
            return asked

        botocore.httpsession.URLLib3Session.send = aws
        HttpConnection.exchange = http  # type: ignore[method-assign]
        SftpChannel.ask = sftp  # type: ignore[method-assign]
        SftpChannel.ask_together = sftp_together  # type: ignore[method-assign]


def _answered(channel: Any, requests: list[int]) -> None:
    for request in requests:
        channel.response(request)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way
