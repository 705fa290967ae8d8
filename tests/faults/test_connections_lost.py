"""The SFTP server's connection is lost at every request, before it is sent or after it took effect (R3.5, R6.2, R6.3).

The whole delivery goes on in the same run: a file that was under way is resumed, the others are sent. For what the
HTTP services do there is :mod:`tests.faults.test_errors_everywhere`.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from delivery.transfer.sftp.channel import SftpChannel
from tests.faults.deliveries import Kind, drawn_for, note, prepare
from tests.faults.killer import When
from tests.support.scenario import MakeScenario

SFTP = Kind("sftp")
SAMPLE = 4
NEVER = 1_000_000


@contextmanager
def cutting(at: int, when: When) -> Iterator[list[str]]:
    """Lose the connection of the ``at``-th request of any connection; yields the requests so far."""
    seen: list[str] = []
    lock = threading.Lock()
    ask = SftpChannel.ask_together

    def asked(channel: Any, requests: Any) -> list[int]:
        with lock:
            seen.append("+".join(str(one[0]) for one in requests))
            mine = len(seen) == at
        if mine and when == "before":
            channel._socket.shutdown(socket.SHUT_RDWR)
        numbers = ask(channel, requests)
        if mine and when == "after":
            for number in numbers:
                channel.answer(number)  # it has taken effect, and this answer nobody gets
            channel._socket.shutdown(socket.SHUT_RDWR)
        return numbers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SftpChannel, "ask_together", asked)
        yield seen


def lose(scenario: MakeScenario, at: int, when: When, directory: Path) -> int:
    """One connection lost; returns how many requests there were."""
    delivery = prepare(scenario, SFTP, directory)
    try:
        with cutting(at, when) as seen:
            run = delivery.client.run()
        assert run.state == "success", run.errors
        delivery.check_at_any_moment()
        delivery.until_quiet()
        delivery.check()
    except BaseException as error:
        raise AssertionError(f"lost {when} request {at} ({seen[at - 1 : at]}): {error}") from error
    return len(seen)


def test_a_sample_of_all_lost_connections(scenario, tmp_path):
    requests = lose(scenario, NEVER, "before", tmp_path)
    points = list(itertools.product(range(1, requests + 1), ("before", "after")))
    for at, when in drawn_for(SFTP).sample(points, SAMPLE):
        lose(scenario, at, when, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_every_lost_connection(scenario, tmp_path):
    requests = lose(scenario, NEVER, "before", tmp_path)
    for at in range(1, requests + 1):
        lose(scenario, at, "before", tmp_path)
        lose(scenario, at, "after", tmp_path)
    note(f"sftp: {requests} requests, {2 * requests} lost connections")
