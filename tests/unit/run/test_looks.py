"""What a run's end looks for: files that are expected, and acknowledgements. Of several runs, one tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client_delivery.calendar.expectation import State
from client_delivery.ledger.acknowledgements import Progress
from client_delivery.ledger.entry import timestamp
from client_delivery.ledger.expectations import Known
from client_delivery.run import acknowledgements, expected
from tests.support.factories import a_file, an_entry
from tests.support.offline import PagedRecord, a_config, a_record, a_run

DAILY = [{"files": "elig_*.csv", "by": "0 9 * * *"}]


class Expectations:
    """What the looks before left; another run writes first as often as a test says."""

    def __init__(self, known: Known, *, lost: int = 0) -> None:
        self._known, self._lost = known, lost
        self.kept: dict[str, State] = {}

    def known(self) -> Known:
        return self._known

    def keep(self, before: Known, now: datetime, states: Any, upcoming: Any = None) -> bool:
        if self._lost:
            self._lost -= 1
            return False
        self.kept = dict(states)
        return True


def late_since(days: float, *, looked_at: timedelta = timedelta(hours=1), **fields: Any) -> Known:
    """The files of that day are missing, and people have been told an hour ago."""
    config = a_config(expected=DAILY)
    (one,) = config.expectations
    now = datetime.now(UTC)
    due = one.due.before(now - timedelta(days=days))
    told = {"since": due - timedelta(days=1), "due": due, "missing": True, "told_at": now - timedelta(hours=1)}
    return Known(now - looked_at, {one.key: State(**told | fields)})


def look(known: Any, *, record: PagedRecord | None = None, delivered: bool = True, **config: Any) -> list[str]:
    run = a_run(a_config(expected=DAILY, **config), expectations=known, history=record or PagedRecord())
    posted: list[Any] = []
    late = expected.look(run, lambda: posted.append(1), delivered=delivered)  # type: ignore[arg-type, func-returns-value]
    assert not posted, "nothing is told"
    return late


def test_a_look_that_fails_fails_no_task(events):
    class Broken:
        def known(self) -> Known:
            raise ConnectionError("the ledger does not respond")

    assert look(Broken()) == []
    (line,) = events("expectations_not_judged")
    assert line["error"] == "ConnectionError"


def test_what_another_run_has_seen_at_the_same_moment_is_told_by_that_run():
    known = Expectations(late_since(2), lost=1)
    assert look(known) == []
    assert known.kept == {}


@pytest.mark.parametrize(
    ("schedule", "days", "late"),
    [("*/15 * * * *", 3, True), ("*/15 * * * *", 5, False), ("0 6 1 * *", 40, True), ("0 6 1 * *", 70, False)],
)
def test_a_client_that_was_paused_is_not_blamed_for_what_did_not_come_meanwhile(schedule, days, late):
    """Paused is who was not looked at for longer than a weekend, and than two of its own intervals."""
    known = Expectations(late_since(days, looked_at=timedelta(days=days), missing=False))
    run = a_run(a_config(expected=DAILY, schedule=schedule), expectations=known, history=PagedRecord())
    (state,) = _judged(run)
    assert state.missing == late


def _judged(run: Any) -> list[State]:
    """The states that a look keeps; its message is not wanted."""
    expected.look(run, lambda: None, delivered=True)  # type: ignore[arg-type, return-value]
    return list(run.expectations.kept.values())


def test_what_came_is_counted_over_all_pages_of_the_record():
    due = late_since(0.01).states
    (state,) = due.values()
    came = an_entry(a_file("elig_1.csv", modified=state.due - timedelta(hours=2)))
    other = a_record(an_entry(a_file("claims.csv")))
    unknown = a_record(an_entry(a_file("elig_0.csv")), modified=None)
    record = PagedRecord([other] * 3, [unknown], [a_record(came)])
    run = a_run(a_config(expected=DAILY), history=record)
    found = expected._arrivals(run, state.since)
    assert [one.name for one in found] == ["claims.csv"] * 3 + ["elig_1.csv"]


def test_a_record_without_an_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(expected, "_MOST_ARRIVALS", 10)
    record = PagedRecord([a_record(an_entry())] * 4, endless=True)
    found = expected._arrivals(a_run(history=record), datetime.now(UTC))
    assert (len(found), record.asked) == (12, 3)


class TestAcknowledge:
    """A person knows that files are late."""

    def test_a_race_with_another_look_is_tried_again(self, events):
        known = Expectations(late_since(0.01), lost=1)
        assert expected.acknowledge(a_run(a_config(expected=DAILY), expectations=known), "the plan is closed") == 1
        assert [state.acknowledged for state in known.kept.values()] == [True]
        (line,) = events("late_files_acknowledged")
        assert line["reason"] == "the plan is closed"

    @pytest.mark.parametrize("fields", [{"missing": False}, {"acknowledged": True}], ids=["in time", "known before"])
    def test_where_nothing_is_late_nothing_is_written(self, fields, events):
        known = Expectations(late_since(0.01, **fields))
        assert expected.acknowledge(a_run(a_config(expected=DAILY), expectations=known), "why") == 0
        assert known.kept == {}
        assert events("late_files_acknowledged") == []


ACK = {"pattern": "ack/{delivered}.ack", "within": "1 h"}


class Acknowledged:
    """How far acknowledgements have been looked for."""

    def __init__(self, progress: Progress | None, *, lost: bool = False, broken: bool = False) -> None:
        self._progress, self._lost, self._broken = progress, lost, broken
        self.kept: list[Progress] = []

    def progress(self) -> Progress | None:
        if self._broken:
            raise ConnectionError("the ledger does not respond")
        return self._progress

    def keep(self, before: Progress | None, now: datetime, after: Progress) -> bool:
        if not self._lost:
            self.kept.append(after)
        return not self._lost

    def since(self, begin: str) -> list[str]:
        return []


def before(**changes: Any) -> Progress:
    long_ago = timestamp(datetime.now(UTC) - timedelta(days=1))
    return Progress(**{"looked_at": None, "begin": long_ago, "told_until": long_ago, "next_look": long_ago} | changes)


class TestAcknowledgements:
    """The recipient's."""

    def test_trouble_with_the_ledger_fails_no_task(self, events):
        run = a_run(a_config(acknowledgement=ACK), acknowledgements=Acknowledged(None, broken=True))
        acknowledgements.begin(run)
        assert not acknowledgements.look(run, lambda: None, delivered=True)  # type: ignore[arg-type, return-value]
        assert [line["error"] for line in events("acknowledgements_not_looked_for")] == ["ConnectionError"] * 2

    def test_what_another_run_has_seen_at_the_same_moment_is_told_by_that_run(self, monkeypatch):
        """It is over its time, and would be told by this one."""
        at = datetime.now(UTC) - timedelta(hours=2)
        monkeypatch.setattr(acknowledgements, "search", lambda run, section, found: None)
        told: list[Any] = []
        monkeypatch.setattr(acknowledgements, "_tell", lambda *args: told.append(args))
        record = PagedRecord([a_record(an_entry(), at=timestamp(at))])
        for lost in (True, False):
            kept = Acknowledged(before(), lost=lost)
            run = a_run(a_config(acknowledgement=ACK), acknowledgements=kept, history=record)
            assert acknowledgements.look(run, lambda: None, delivered=True) == (not lost)  # type: ignore[arg-type, return-value]
            assert len(told) == (not lost)
