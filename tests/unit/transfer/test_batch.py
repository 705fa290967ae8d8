"""R6.2: many files, one failing, all told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from client_delivery.transfer.contract import (
    DestinationUnavailable,
    Interrupted,
    Job,
    Receipt,
    Refused,
    SourceObject,
    TransferError,
)
from client_delivery.transfer.delivering.batch import deliver_all


class FakeDestination:
    def __init__(self, behaviour: Callable[[str], None], parallel_jobs: int = 2) -> None:
        self.parallel_jobs = parallel_jobs
        self.asked: list[str] = []
        self._behaviour = behaviour

    def deliver(self, job: Job, journal: Any) -> Receipt:
        self.asked.append(job.name)
        self._behaviour(job.name)
        journal.confirm()
        return Receipt(f"x://{job.name}", 1, "crc32c:x", "checksum")


class FakeJournal:
    checkpoint = progress = resumed = confirm = staticmethod(lambda *_: None)


def started(name: str) -> tuple[Job, Any]:
    return Job(name, SourceObject("b", name, "e", 1), 1), FakeJournal()


def run(names: list[str], destination: FakeDestination, stop: threading.Event | None = None) -> dict[str, Any]:
    outcomes: dict[str, Any] = {}
    deliver_all(names, started, destination, outcomes.__setitem__, stop)
    return outcomes


def raising(names: set[str], error: Exception) -> Callable[[str], None]:
    def behave(name: str) -> None:
        if name in names:
            raise error

    return behave


@pytest.mark.parametrize("error", [TransferError("no"), ValueError("a bug")])
def test_r6_2_one_files_failure_stops_no_other(error):
    outcomes = run(["a", "b", "c"], FakeDestination(raising({"b"}, error)))
    assert outcomes["b"] is error
    assert {name for name, outcome in outcomes.items() if isinstance(outcome, Receipt)} == {"a", "c"}


def test_an_unavailable_destination_is_asked_no_more():
    error = DestinationUnavailable("gone")
    destination = FakeDestination(raising({"a", "b", "c", "d"}, error), parallel_jobs=1)
    assert run(["a", "b", "c", "d"], destination) == dict.fromkeys("abcd", error)
    assert destination.asked == ["a"]


def test_what_is_stopped_is_interrupted_and_nothing_begins():
    stop = threading.Event()
    destination = FakeDestination(lambda _: stop.set(), parallel_jobs=1)
    outcomes = run(["a", "b"], destination, stop)
    assert isinstance(outcomes["a"], Interrupted)
    assert "b" not in outcomes


def test_a_skipped_file_has_no_outcome():
    outcomes: dict[str, Any] = {}
    destination = FakeDestination(lambda _: None)
    deliver_all(["a", "b"], lambda name: None if name == "a" else started(name), destination, outcomes.__setitem__)
    assert set(outcomes) == {"b"}


def test_an_error_of_the_callers_surfaces_after_the_others_are_done():
    outcomes: dict[str, Any] = {}

    def on_outcome(name: str, outcome: Any) -> None:
        if name == "a":
            raise RuntimeError("ledger down")
        outcomes[name] = outcome

    with pytest.raises(RuntimeError, match="ledger down"):
        deliver_all(["a", "b", "c"], started, FakeDestination(lambda _: None), on_outcome)
    assert set(outcomes) == {"b", "c"}


NAMES = [f"{number:03}" for number in range(200)]


def test_r6_12_what_the_first_files_meet_alike_is_the_destinations():
    destination = FakeDestination(raising(set(NAMES), Refused("no right to create", alike="403 AccessDenied")))
    outcomes = run(NAMES, destination)
    assert len(destination.asked) < 30
    told = [outcome for name, outcome in outcomes.items() if name not in destination.asked]
    assert len(told) > 170
    assert {type(outcome) for outcome in told} == {DestinationUnavailable}
    assert "failed for the same reason, so this one was not tried" in str(told[0])
    assert "no right to create" in str(told[0])


def test_r6_12_one_that_arrives_shows_that_the_others_refusals_are_their_own():
    """Some are among the sample that goes first, whatever their size."""
    refused = set(NAMES) - set(NAMES[::2])
    outcomes = run(NAMES, FakeDestination(raising(refused, Refused("not this one", alike="403 AccessDenied"))))
    assert {name for name, outcome in outcomes.items() if isinstance(outcome, Receipt)} == set(NAMES[::2])


def test_r6_12_refusals_that_say_nothing_about_others_stop_no_other():
    refused = set(NAMES[:-1])
    outcomes = run(NAMES, FakeDestination(raising(refused, Refused("under retention"))))
    assert isinstance(outcomes[NAMES[-1]], Receipt)


def test_r6_12_the_same_file_counts_once_and_different_reasons_do_not_add_up():
    errors = {name: Refused("no", alike=f"403 {int(name) % 11}") for name in NAMES[:-1]}

    def behave(name: str) -> None:
        if name in errors:
            raise errors[name]

    destination = FakeDestination(behave, parallel_jobs=1)
    run(NAMES[:150], destination)
    assert len(destination.asked) == 150


def test_r6_12_one_that_arrives_late_shows_it_as_well():
    """While it is under way, the others have given the destination up: those that follow are tried again."""
    given_up, arrived = threading.Event(), threading.Event()
    slow, last = "slow", "last"

    def behave(name: str) -> None:
        if name == slow:
            assert given_up.wait(30)
        elif name != last:
            raise Refused("no right to create", alike="403 AccessDenied")

    outcomes: dict[str, Any] = {}

    def finish(name: str, result: Any) -> None:
        outcomes[name] = result
        if name == slow:
            arrived.set()
        elif isinstance(result, DestinationUnavailable):
            given_up.set()
            assert arrived.wait(30)

    refused = [f"{number:02}" for number in range(21)]
    destination = FakeDestination(behave)
    deliver_all([slow, *refused, last], started, destination, finish, None)
    assert isinstance(outcomes["20"], DestinationUnavailable)
    assert "20" not in destination.asked
    assert isinstance(outcomes[slow], Receipt)
    assert isinstance(outcomes[last], Receipt)
