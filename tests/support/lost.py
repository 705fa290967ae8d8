"""Losing an SFTP connection at a chosen request: before it is sent, or after it took effect and nobody hears of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from client_delivery.transfer.sftp.channel import SftpChannel

When = Literal["before", "after"]
NEVER = 1_000_000


@contextmanager
def cutting(at: int, when: When) -> Iterator[list[str]]:
    """Lose the connection of the ``at``-th request of any connection; yields the requests so far."""
    seen: list[str] = []
    lock = threading.Lock()
    ask = SftpChannel.ask_together

    def asked(channel: Any, requests: Any, **how: Any) -> list[int]:
        with lock:
            seen.append("+".join(str(one[0]) for one in requests))
            mine = len(seen) == at
        if mine and when == "before":
            channel._socket.shutdown(socket.SHUT_RDWR)
        numbers = ask(channel, requests, **how)
        if mine and when == "after":
            for number in numbers:
                channel.response(number)  # it has taken effect, and this response nobody gets
            channel._socket.shutdown(socket.SHUT_RDWR)
        return numbers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SftpChannel, "ask_together", asked)
        yield seen
