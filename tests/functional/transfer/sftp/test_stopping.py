"""Who is told to stop does so within seconds, also while the server takes nothing (R6.6, R6.7)."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from client_delivery.transfer.contract import Interrupted, Job
from client_delivery.transfer.delivering.batch import deliver_all
from client_delivery.transfer.sftp.session import SftpSession
from local.sshd import OpenSsh, find_sshd
from tests.functional.transfer.conftest import MIB, Journal

pytestmark = pytest.mark.skipif(find_sshd() is None, reason="OpenSSH's sshd is not installed")

SECONDS = 10
"""Fargate kills a container thirty seconds after it has told it to stop."""


def workers(pid: int) -> list[int]:
    """The processes below this one that have none below them: those that write the files."""
    below = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [found for child in below for found in workers(child)] or [pid]


@pytest.fixture
def server(tmp_path):
    running = OpenSsh(tmp_path / "openssh")
    (running.server.root / "in").mkdir()
    stopped: list[int] = []

    def freeze():
        """The connection lives, and nobody takes what comes: the window of the channel is not made wider."""
        stopped.extend(workers(running._process.pid))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)

    running.freeze = freeze
    yield running
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    running.stop()


@pytest.mark.parametrize(("size", "operation"), [(4 * MIB, "write_whole"), (12 * MIB, "write"), (1000, "write_whole")])
def test_a_stop_is_seen_while_the_server_takes_nothing(servers, server, monkeypatch, size, operation):
    monkeypatch.setattr("client_delivery.transfer.sftp.requests._FORGETTING", 1.0)
    stop, told, outcomes = threading.Event(), [], []
    real = getattr(SftpSession, operation)

    def frozen(*arguments):
        if not told:
            told.append(time.monotonic() + 2)
            server.freeze()
            threading.Timer(2, stop.set).start()  # when the window is full
        return real(*arguments)

    monkeypatch.setattr(SftpSession, operation, frozen)
    source, _ = servers.declare(size)
    with servers.open("sftp", server.server) as destination:
        deliver_all(
            [source],
            lambda one: (Job(one.key, one, token=1), Journal()),
            destination,
            lambda _, outcome: outcomes.append(outcome),
            stop,
        )
        assert [type(one) for one in outcomes] == [Interrupted]
        assert time.monotonic() - told[0] < SECONDS
    assert time.monotonic() - told[0] < SECONDS
    assert not (server.server.root / "in" / source.key).exists()
