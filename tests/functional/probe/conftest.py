"""What the probe is tried on, beside the servers of the SFTP bench and the stand-ins."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.functional.transfer.conftest import servers, started

__all__ = ["servers", "started"]


class Address(NamedTuple):
    """Of a server."""

    host: str
    port: int


@pytest.fixture
def blackhole() -> Iterator[Address]:
    """An address whose packets nobody answers, as behind a firewall that drops them.

    A listener whose queue is full: Linux then drops what asks for a connection, without a word. No packet has to leave
    this machine, where a network may refuse what a firewall would swallow.
    """
    with ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = Address(*listener.getsockname())
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        yield address
