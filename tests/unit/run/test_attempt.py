"""One attempt at a batch, with a ledger that forgets everything."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from client_delivery.ledger.entry import Status
from client_delivery.run.attempt import Batch
from tests.support.factories import RUN, a_file, an_entry

_LONGEST = timedelta(seconds=0.3)


class Ledger:
    def begin(self, entry: Any, owner: Any) -> Any:
        return replace(entry, fencing_token=entry.fencing_token + 1)


class Endless:
    """A destination that takes bytes, and never comes to an end."""

    parallel_jobs = 2

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def deliver(self, job: Any, journal: Any) -> Any:
        while True:
            time.sleep(0.01)
            journal.progress(1)


def test_r6_6_a_batch_that_takes_too_long_stops_by_itself_and_is_no_failure(caplog):
    """Whoever runs it, for nobody but itself minds the time of a container."""
    entries = [an_entry(a_file(name, name), status=Status.PROCESSING, active=True) for name in ("a.csv", "b.csv")]
    ledger: Any = Ledger()
    disposal: Any = SimpleNamespace()
    with caplog.at_level(logging.INFO):
        outcome = Batch(
            ledger, RUN, disposal=disposal, bypass=False, logger=logging.getLogger("test"), longest=_LONGEST
        ).deliver(entries, Endless)  # type: ignore[arg-type]
    assert set(outcome.unfinished) == {"a.csv", "b.csv"}
    assert not outcome.failed
    assert "batch_out_of_time" in caplog.text
