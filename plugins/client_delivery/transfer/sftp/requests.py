"""Requests of one SFTP session, and what their responses mean."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from client_delivery.transfer.sftp.channel import SftpChannel
from client_delivery.transfer.sftp.packets import (
    EOF,
    Attributes,
    ConnectionLost,
    Kind,
    SftpError,
    attributes,
    status_error,
)

_T = TypeVar("_T")

_FORGETTING = 15.0
"""Seconds for which responses that nobody needs are waited for: a container that is to stop has 30."""


class Requests:
    """Takes responses apart. Every method raises :class:`SftpError` for a refusal, and :class:`ConnectionLost`."""

    def __init__(self, channel: SftpChannel) -> None:
        self.channel = channel

    def handle(self, kind: int, payload: bytes, operation: str) -> bytes:
        """Ask for a handle."""
        return self.handle_of(self.channel.ask(kind, payload), operation)

    def handle_of(self, request: int, operation: str) -> bytes:
        """The handle that was asked for."""
        answered, body = self.channel.response(request)
        if answered != Kind.HANDLE:
            raise refusal(body, operation)
        return bytes(body[4:])

    def attributes(self, request: int, seconds: float = 0) -> Attributes:
        """The response to a stat. ``seconds`` as for :meth:`error`."""
        answered, body = self.channel.response(request, seconds)
        if answered != Kind.ATTRS:
            raise refusal(body, "stat")
        return parsed(attributes, body, "stat")

    def data(self, request: int) -> bytes | None:
        """A read's bytes; None at the file's end."""
        answered, body = self.channel.response(request)
        if answered == Kind.DATA:
            return body[4:]
        error = refusal(body, "read")
        if error.code == EOF:
            return None
        raise error

    def status(self, kind: int, payload: bytes, operation: str) -> None:
        """Ask for something that succeeds or does not."""
        if error := self.error(self.channel.ask(kind, payload), operation):
            raise error

    def error(self, request: int, operation: str, seconds: float = 0) -> SftpError | None:
        """The refusal of a request, or None. ``seconds`` is the server's time, where it needs more than usual."""
        answered, body = self.channel.response(request, seconds)
        return parsed(lambda found: status_error(found, operation), body if answered == Kind.STATUS else b"", operation)

    def forget(self, requests: Iterable[int]) -> None:
        """Take the responses that nobody needs any more; a server that is slow with them loses its connection."""
        deadline = time.monotonic() + _FORGETTING
        with contextlib.suppress(ConnectionLost):
            for request in requests:
                self.channel.response(request, deadline=deadline)


def refusal(body: bytes, operation: str) -> SftpError:
    """The error that stands in a response where something else was hoped for."""
    error = parsed(lambda found: status_error(found, operation), body, operation)
    return error or SftpError(4, "a response that does not fit the request", operation)


def parsed(parse: Callable[[bytes], _T], body: bytes, operation: str) -> _T:
    """Raises :class:`SftpError` for a response that is no such thing."""
    try:
        return parse(body)
    except (struct.error, IndexError) as error:
        raise SftpError(4, "a response that does not fit the request", operation) from error
