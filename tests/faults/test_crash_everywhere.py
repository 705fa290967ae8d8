"""The promise (R3.5, R4.2, R4.5, R4.6, R5.5, R6.2, R6.5, R7.2): kill the process at any call, and nothing is lost, sent
half, or left behind.

For every external call k of a delivery: a fresh client, a run that is killed before call k, or after it took effect;
then either Airflow tries the dead task again, or the run is given up and the next scheduled ones come, until they find
nothing to do. Then the invariants must hold. A sample is part of every test run; `make test-slow` does all.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.faults.crash import Death, ResumableRuns, die_at
from tests.faults.deliveries import KINDS, SAMPLED, Kind, drawn_for, note, prepare
from tests.faults.killer import When
from tests.support.scenario import MakeScenario

SAMPLE = 2
"""Crash points of each scenario in every test run."""
MOST_CALLS = 1000


RECOVERIES = ("tried again", "given up")


def crash(scenario: MakeScenario, kind: Kind, at: int, when: When, recovery: str, notes: Path) -> Death:
    """One crash point, to its end."""
    delivery = prepare(scenario, kind, notes)
    runs = ResumableRuns(delivery.client.config, notes / "run")
    death = die_at(at, when, runs, notes / "call", **kind.params)
    delivery.check_at_any_moment()
    if recovery == "tried again":
        assert runs.go_on(**kind.params).state == delivery.ends
    delivery.until_quiet()
    # An e-mail is claimed before it is sent: killed in between, it is lost, for SES cannot be asked (R7.2, R7.3).
    lost = death.killed and ("Update" in death.call or "ses" in death.call or "POST" in death.call)
    delivery.check(most=2 if death.killed else 1, mail_may_be_lost=lost)
    return death


def calls_of(scenario: MakeScenario, kind: Kind, notes: Path) -> int:
    """How many calls the delivery makes when nobody kills it; they vary a little, for threads take turns."""
    death = crash(scenario, kind, MOST_CALLS, "before", "given up", notes)
    assert not death.killed
    assert death.calls > 10
    return death.calls


@pytest.mark.parametrize("kind", SAMPLED, ids=str)
def test_a_sample_of_all_crash_points(scenario, kind, tmp_path):
    calls = calls_of(scenario, kind, tmp_path)
    points = list(itertools.product(range(1, calls + 1), ("before", "after"), RECOVERIES))
    for at, when, recovery in drawn_for(kind).sample(points, SAMPLE):
        attempt(scenario, kind, at, when, recovery, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_crash_point(scenario, kind, tmp_path):
    calls = calls_of(scenario, kind, tmp_path)
    tried: Counter[str] = Counter()
    ways = list(itertools.product(("before", "after"), RECOVERIES))
    for at in range(1, calls + 1):
        # Both deaths at every call, each with one of the two recoveries, which take turns.
        for when, recovery in (ways[0], ways[3]) if at % 2 else (ways[1], ways[2]):
            death = attempt(scenario, kind, at, when, recovery, tmp_path)
            tried[f"{when}, {recovery}"] += death.killed
    note(f"{kind}: {calls} calls, {sum(tried.values())} crashes: {dict(tried)}")
    assert sum(tried.values()) > calls


def attempt(scenario: MakeScenario, kind: Kind, at: int, when: Any, recovery: str, notes: Path) -> Death:
    """A failure says how to see it again."""
    try:
        return crash(scenario, kind, at, when, recovery, notes)
    except BaseException as error:
        call = (notes / "call").read_text()
        raise AssertionError(f"{kind}: killed {when} call {call}, then {recovery}: {error}") from error
