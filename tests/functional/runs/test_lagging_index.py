"""Whole runs while the ledger's index is up to 3 s behind its table: no file, no e-mail and no name is lost by it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from client_delivery.ledger.entry import Status

LONGEST = 3.0
"""Seconds."""


@pytest.fixture
def lagging(scenario, stack) -> Iterator:
    stack.order_index_lag(LONGEST, seed=13)
    yield scenario
    stack.order_index_lag(0)


@pytest.mark.parametrize("destination", ["s3", "gcs", "sftp"])
def test_a_run_delivers_and_reports_every_file(lagging, destination):
    client = lagging(destination)
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        client.drop(name, os.urandom(100))
    assert client.run().state == "success"
    assert sorted(client.delivered()) == names
    assert {entry.status for entry in client.entries().values()} == {Status.SUCCESS}
    assert not any(entry.active for entry in client.entries().values())
    started, finished = client.mails()
    for name in names:
        assert name in started.text
        assert name in finished.text
    client.run()
    client.run()
    assert len(client.mails()) == 2
    assert client.waiting() == []
