"""Trouble of all kinds at random, together with deaths, for a long time (R3.5, R4.2, R6.2, R6.3).

Each round is a delivery of its own: many calls of every service fail, processes die, an operator clears red runs, until
the trouble ends; then the next runs must bring everything to its end. All the while the ledger's index lags behind.
One round of some kinds is part of every test run;
`make test-slow` goes on for ``SOAK_MINUTES``.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.crash import ResumableRuns, die_at
from tests.faults.deliveries import KINDS, SOAKED, Delivery, Kind, drawn_for, note, prepare
from tests.faults.test_errors_everywhere import TROUBLES, mail_service_befallen, order, servers_of
from tests.support.scenario import MakeScenario

# A garbled byte is exempt from one invariant, for one delivery: it has its own test.
AT_RANDOM = [name for name in TROUBLES if name != "wrong byte"]


def stir(delivery: Delivery, chance: random.Random) -> None:
    """One of every two, five or ten of the next calls of each service gets into trouble."""
    each = chance.choice([2, 5, 10])
    for server in servers_of(delivery.kind):
        rules = [
            {"call": "", "skip": at + chance.randrange(each), "times": 1, **TROUBLES[chance.choice(AT_RANDOM)]}
            for at in range(0, 200, each)
        ]
        order(delivery.client, server, *rules)


def play(scenario: MakeScenario, kind: Kind, seed: str, directory: Path) -> Counter[str]:
    """One round; returns what happened in it."""
    chance = random.Random(seed)
    delivery = prepare(scenario, kind, directory)
    client, happened, befallen = delivery.client, Counter[str](), list[str]()
    try:
        delivery.let_index_lag(chance.randrange(10**6))
        for _ in range(chance.randint(1, 3)):
            stir(delivery, chance)
            if chance.random() < 0.5:
                runs = ResumableRuns(client.config, directory / "run")
                death = die_at(chance.randint(1, 60), chance.choice(["before", "after"]), runs, directory / "call")
                happened["deaths"] += death.killed
                run = runs.go_on(**kind.params) if death.killed and chance.random() < 0.5 else None
            else:
                run = client.run(**kind.params)
            if run is not None:
                delivery.went(run)
                happened[f"{run.state} runs"] += 1
                if run.state == "failed" and kind.changes.get("bypass_file_checks"):
                    delivery.clears += 1  # the next run sends by itself what failed (R5.3), and reports it
                if run.state == "failed" and chance.random() < 0.5:
                    happened["clears"] += 1
                    delivery.clear(run)
            for server in servers_of(kind):
                befallen += order(client, server)
            delivery.check_at_any_moment()
        delivery.resend_failed()
        delivery.until_quiet(may_be_red=True)
        delivery.let_index_catch_up()
        lost = happened["deaths"] or delivery.not_announced or mail_service_befallen(befallen)
        delivery.check(mail_may_be_lost=bool(lost), most=None)
    except BaseException as error:
        raise AssertionError(f"{kind}, SOAK_SEED={seed!r}: {error}") from error
    finally:
        delivery.let_index_catch_up()
    return happened


def seeds(first: int) -> itertools.count[int]:
    """So that a failure can be seen again."""
    return itertools.count(int(os.environ.get("SOAK_SEED", first)))


@pytest.mark.parametrize("kind", SOAKED)
def test_a_round_of_random_trouble(scenario, kind, tmp_path):
    play(scenario, kind, str(next(seeds(drawn_for(kind).randrange(10**6)))), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_random_trouble_for_a_long_time(scenario, tmp_path):
    happened: Counter[str] = Counter()
    end = time.monotonic() + 60 * float(os.environ.get("SOAK_MINUTES", "15"))
    for seed, kind in zip(seeds(random.SystemRandom().randrange(10**6)), itertools.cycle(KINDS), strict=False):
        happened += play(scenario, kind, str(seed), tmp_path)
        happened["rounds"] += 1
        if time.monotonic() > end:
            break
    note(f"soak: {dict(happened)}")
    assert happened["deaths"]
    assert happened["success runs"]
    assert happened["failed runs"]
