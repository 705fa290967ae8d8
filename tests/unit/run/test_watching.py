"""A watcher asks the ledger about a pick-up once, as long as nothing in it changes (R4.1)."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.run.watching import Watch
from tests.support.factories import MODIFIED, an_entry
from tests.support.offline import MemoryLedger, a_config, a_run
from tests.unit.pickup.s3_refusing import S3

NOW = MODIFIED + timedelta(hours=1)


class Asked(MemoryLedger):
    """It counts the looks that ask it."""

    looks = 0

    def each_open(self) -> Any:
        self.looks += 1
        return super().each_open()


class Watched:
    """A client on a clock of the test's. Its file has been delivered, and nobody has removed it yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
        self.s3, self.ledger, self.now = S3(), Asked(an_entry()), NOW
        self.s3.put("in/a.csv")
        client = a_config(trigger="on_arrival", **config)
        stores = {"source_s3": self.s3, "ledger": self.ledger, "disposal": SimpleNamespace(keeps=False)}
        self.watch = Watch(client, lambda: self.now)
        monkeypatch.setattr(self.watch, "_run", lambda: a_run(client, history=None, **stores))

    def looked(self, after: timedelta = timedelta(seconds=45)) -> tuple[int | None, int]:
        """How many files a look says have come, if it says so; how often the ledger was asked for it."""
        self.now, before = self.now + after, self.ledger.looks
        found = self.watch.look()
        return None if found is None else found.files, self.ledger.looks - before


def test_an_unchanged_pickup_is_asked_about_once_in_half_an_hour(monkeypatch):
    """What the run after a delivery removes is known, and starts none."""
    client = Watched(monkeypatch)
    client.s3.put("in/b.csv", ETag='"etag-b"')
    assert client.looked() == (1, 1)
    del client.s3.objects["in/b.csv", None]
    assert [client.looked() for _ in range(3)] == [(None, 1), (None, 0), (None, 0)]
    assert client.looked(timedelta(minutes=31)) == (None, 1)
    client.s3.put("in/c.csv", ETag='"etag-c"')
    assert client.looked() == (1, 1)


def test_a_file_that_may_still_be_written_keeps_the_watcher_awake(monkeypatch):
    """The listing does not change when the file has become old enough."""
    client = Watched(monkeypatch, guards={"stable_for": "5 min"})
    client.s3.put("in/growing.csv", ETag='"etag-b"', LastModified=NOW)
    monkeypatch.setattr("client_delivery.run.guarding.datetime", SimpleNamespace(now=lambda zone: client.now))
    assert [client.looked() for _ in range(2)] == [(None, 1), (None, 1)]
    assert client.looked(timedelta(minutes=5)) == (1, 1)


def test_an_empty_pickup_costs_no_request_to_the_ledger(monkeypatch):
    client = Watched(monkeypatch)
    client.s3.objects.clear()
    assert client.looked() == (None, 0)
