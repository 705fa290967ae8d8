"""One attempt at a batch: what the ledger, the destination and the log are told of each file."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.run.attempt import Batch
from client_delivery.run.journal import LedgerJournal
from client_delivery.transfer.contract import DestinationUnavailable, Receipt, Superseded
from tests.support.factories import RUN, a_file, an_entry

_LONGEST = timedelta(seconds=0.3)


class Ledger:
    """It keeps what an attempt says of a file, and loses a file to another attempt where a test wants it."""

    def __init__(self, *, taken: str = "", lost: str = "") -> None:
        self.taken, self.lost = taken, lost
        """The file that another attempt owns already, and the one that another takes while it is sent."""
        self.said: list[tuple[str, str]] = []

    def begin(self, entry: Any, owner: Any) -> Any:
        if entry.file_name == self.taken:
            raise Superseded("another attempt owns the file")
        return replace(entry, fencing_token=entry.fencing_token + 1)

    def renamed(self, entry: Any, name: str, suffixes: str) -> Any:
        self.said.append(("renamed", f"{entry.arrives_as} {name}"))
        return replace(entry, delivered_name=name, suffixes=suffixes, resume=None)

    def delivered(self, entry: Any, receipt: Any, *, remove_source: bool) -> Any:
        return self._said("delivered", replace(entry, status=Status.SUCCESS))

    def failed(self, entry: Any, reason: str, *, permanent: bool, name_refused: bool) -> Any:
        return self._said("failed", replace(entry, last_error=reason))

    def removed(self, entries: Any, archived: Any) -> None:
        self.said += [("removed", entry.file_name) for entry in entries]

    def _said(self, what: str, entry: Any) -> Any:
        if entry.file_name == self.lost:
            raise Superseded("another attempt has taken the file")
        self.said.append((what, entry.file_name))
        return entry


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


class Destination(Endless):
    """It takes each file at once, or says what a test wants."""

    def __init__(self, result: Receipt | Exception | None = None) -> None:
        self._result = result or Receipt("s3://there/a.csv", 10, "crc32c:x", "checksum")
        self.discarded: list[tuple[str, Any]] = []
        self.jobs: list[Any] = []

    def deliver(self, job: Any, journal: Any) -> Receipt:
        self.jobs.append(job)
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def discard(self, name: str, state: Any) -> None:
        self.discarded.append((name, state))


def attempt(ledger: Any, *, disposal: Any = None, longest: timedelta = timedelta(minutes=1), **options: Any) -> Batch:
    logger = logging.getLogger("test")
    disposal = disposal or SimpleNamespace(at_once=False, keeps=False)
    return Batch(
        ledger, RUN, **{"disposal": disposal, "bypass": False, "logger": logger, "longest": longest, **options}
    )


def waiting(*names: str, **changes: Any) -> list[Any]:
    return [an_entry(a_file(name, name), status=Status.PROCESSING, active=True, **changes) for name in names]


def told(caplog: Any, event: str) -> int:
    return sum(json.loads(line)["event"] == event for line in caplog.messages)


def deliver(batch: Batch, entries: list[Any], destination: Any) -> Any:
    return batch.deliver(entries, lambda: destination)


def test_r6_6_a_batch_that_takes_too_long_stops_by_itself_and_is_no_failure(caplog):
    """Whoever runs it, for nobody but itself minds the time of a container."""
    entries = waiting("a.csv", "b.csv")
    with caplog.at_level(logging.INFO):
        outcome = attempt(Ledger(), longest=_LONGEST).deliver(entries, Endless)  # type: ignore[arg-type]
    assert set(outcome.unfinished) == {"a.csv", "b.csv"}
    assert not outcome.failed
    assert "batch_out_of_time" in caplog.text


def test_r3_5_a_file_that_another_attempt_owns_is_neither_sent_nor_failed(caplog):
    ledger, there = Ledger(taken="a.csv"), Destination()
    with caplog.at_level(logging.WARNING):
        outcome = deliver(attempt(ledger), waiting("a.csv", "b.csv"), there)
    assert [job.name for job in there.jobs] == ["b.csv"]
    assert (outcome.delivered, outcome.failed, outcome.unfinished) == (1, {}, {})
    assert told(caplog, "file_superseded") == 1


def test_r3_5_a_destination_that_cannot_be_opened_fails_only_the_files_of_this_attempt():
    def closed() -> Any:
        raise DestinationUnavailable("No route to the host.")

    ledger = Ledger(taken="a.csv")
    outcome = attempt(ledger).deliver(waiting("a.csv", "b.csv"), closed)
    assert ledger.said == [("failed", "b.csv")]
    assert outcome.unfinished == {"b.csv": "No route to the host."}


def test_r3_5_a_file_that_another_attempt_takes_while_it_is_sent_is_not_this_ones_to_judge(caplog):
    """The destination has noticed it, or the ledger does at the end."""
    for ledger, result in ((Ledger(), Superseded("no longer ours")), (Ledger(lost="a.csv"), None)):
        outcome = deliver(attempt(ledger), waiting("a.csv"), Destination(result))
        assert (outcome.delivered, outcome.failed, outcome.unfinished) == (0, {}, {})
        assert ledger.said == []
    assert told(caplog, "file_superseded") == 2


@pytest.mark.parametrize(
    ("suffixes", "resume", "removed"),
    [
        ("", {"engine": {"upload": "u1"}, "key": "prepared/x"}, {"upload": "u1"}),
        ("", {"upload": "u1"}, {"upload": "u1"}),
        (".gz.pgp", {"engine": {"upload": "u1"}, "key": "x"}, {"engine": {"upload": "u1"}, "key": "x"}),
        (".gz.pgp", None, None),
    ],
    ids=["no longer treated", "never treated", "treated otherwise", "nothing was begun"],
)
def test_a_file_whose_treatment_was_edited_is_begun_anew_under_its_new_name(suffixes, resume, removed):
    ledger, there = Ledger(), Destination()
    (entry,) = waiting("a.csv", delivered_name="claims.csv.gz", suffixes=".gz", resume=resume)
    deliver(attempt(ledger, suffixes=suffixes), [entry], there)
    (job,) = there.jobs
    assert (job.name, job.resume) == (f"claims.csv{suffixes}", None)
    assert there.discarded == ([("claims.csv.gz", removed)] if removed else [])
    assert ledger.said[0] == ("renamed", f"claims.csv.gz claims.csv{suffixes}")


def test_a_destination_that_cannot_be_opened_leaves_what_was_begun_to_the_next_attempt():
    """The state is all that says what lies there."""

    def closed() -> Any:
        raise DestinationUnavailable("the server is down")

    ledger = Ledger()
    (entry,) = waiting("a.csv", delivered_name="claims.csv.gz", suffixes=".gz", resume={"upload": "u1"})
    outcome = attempt(ledger).deliver([entry], closed)
    assert outcome.unfinished == {"a.csv": "the server is down"}
    assert ledger.said == [("failed", "a.csv")]


def test_leftovers_that_cannot_be_removed_do_not_stop_the_file(caplog):
    class Stubborn(Destination):
        def discard(self, name: str, state: Any) -> None:
            raise ConnectionError("reset")

    (entry,) = waiting("a.csv", delivered_name="a.csv.gz", suffixes=".gz", resume={"upload": "u1"})
    outcome = deliver(attempt(Ledger()), [entry], Stubborn())
    assert outcome.delivered == 1
    assert "leftovers_not_removed" in caplog.text


def test_what_an_operator_should_know_of_a_good_delivery_is_a_warning(caplog):
    remark = "Somebody has overwritten the object since."
    receipt = Receipt("s3://there/a.csv", 10, "crc32c:x", "checksum", remark)
    assert deliver(attempt(Ledger()), waiting("a.csv"), Destination(receipt)).delivered == 1
    (line,) = [one for one in caplog.records if "file_delivered_remark" in one.getMessage()]
    assert line.levelno == logging.WARNING
    assert remark in line.getMessage()


@pytest.mark.parametrize("trouble", [False, True])
def test_a_prepared_copy_goes_once_its_delivery_is_recorded(caplog, trouble):
    """The file has arrived: what cannot be removed now expires by itself."""
    ledger = Ledger()
    removed: list[Any] = []

    class Treated(Destination):
        def remove(self, prepared: Any) -> None:
            assert ("delivered", "a.csv") in ledger.said
            if trouble:
                raise ConnectionError("reset")
            removed.append(prepared.key)

    prepared: Any = SimpleNamespace(key="prepared/a.csv.gz")
    receipt = Receipt("s3://there/a.csv.gz", 7, "crc32c:x", "checksum", prepared=prepared)
    assert deliver(attempt(ledger), waiting("a.csv"), Treated(receipt)).delivered == 1
    assert removed == ([] if trouble else ["prepared/a.csv.gz"])
    assert ("prepared_not_removed" in caplog.text) == trouble


@pytest.mark.parametrize("kept", [False, True], ids=["removed", "changed since"])
def test_r5_6_a_source_that_has_changed_since_is_not_noted_as_removed(caplog, kept):
    """The next run takes what is there now for a new file."""
    disposal = SimpleNamespace(
        at_once=True,
        keeps=False,
        clear_away=lambda files, at: {file.key for file in files if kept},
        archived_to=lambda file, at: f"s3://archive/{file.name}",
    )
    ledger = Ledger()
    with caplog.at_level(logging.INFO):
        deliver(attempt(ledger, disposal=disposal), waiting("a.csv"), Destination())
    assert (("removed", "a.csv") in ledger.said) == (not kept)
    assert ("source_kept" if kept else "source_removed") in caplog.text
    assert ("s3://archive/a.csv" in caplog.text) == (not kept)


@pytest.mark.parametrize(("since", "asked"), [(1.0, 0), (2.5, 1)])
def test_r3_5_only_a_fresh_look_at_the_ledger_counts_as_a_confirmation(monkeypatch, since, asked):
    """A small file needs no second look; one that took longer may belong to another attempt by now."""
    looks: list[Any] = []
    ledger: Any = SimpleNamespace(confirm=looks.append)
    journal = LedgerJournal(ledger, an_entry(), progress=None)  # type: ignore[arg-type]
    later = time.monotonic() + since
    monkeypatch.setattr("client_delivery.run.journal.time", SimpleNamespace(monotonic=lambda: later))
    journal.confirm()
    assert len(looks) == asked
