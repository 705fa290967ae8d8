"""Trouble at every call (R3.5, R6.2, R6.3): a service answers with an error, cuts the connection before or after a call
took effect, answers half, garbles a byte, or takes its time. Nothing is lost, sent half, or left behind.

What a service does once is overcome within the run; what it does at one call of every kind, by Airflow's retries or the
next run. A sample is part of every test run; `make test-slow` does all.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.deliveries import KINDS, TAKING_TURNS, Kind, drawn_for, note, prepare
from tests.support.scenario import MakeScenario, Scenario

TROUBLES: dict[str, dict[str, Any]] = {
    "throttled": {"status": 503, "code": "SlowDown"},
    "internal error": {"status": 500, "code": "InternalError"},
    "cut before": {"reset": "before"},
    "cut after": {"reset": "after"},
    "denied": {"status": 403, "code": "AccessDenied"},
    "expired": {"status": 400, "code": "ExpiredToken"},
    "clock skewed": {"status": 403, "code": "RequestTimeTooSkewed"},
    "slow": {"delay": 1.5},
    "answer cut short": {"truncate": 10},
    "wrong byte": {"corrupt": True},
}
KINDS_HERE = [kind for kind in KINDS if kind.destination != "sftp"]
SAMPLE = 2


def order(client: Scenario, server: str, *rules: dict[str, Any]) -> list[str]:
    """Order these troubles, or none; returns the calls that those before befell."""
    return (client.gcs_faults if server == "gcs" else client.aws_faults)(*rules)


def counts(client: Scenario, server: str) -> int:
    url = client.stack.gcs_url if server == "gcs" else client.stack.aws_url
    return sum(httpx.get(f"{url}/_local/requests", timeout=30).json().values())


def servers_of(kind: Kind) -> tuple[str, ...]:
    return ("aws", "gcs") if kind.destination == "gcs" else ("aws",)


def calls_of(scenario: MakeScenario, kind: Kind, directory: Path) -> dict[str, int]:
    delivery = prepare(scenario, kind, directory)
    client = delivery.client
    before = {server: counts(client, server) for server in servers_of(kind)}
    assert client.run(**kind.params).state == delivery.ends
    calls = {server: counts(client, server) - before[server] for server in before}
    delivery.until_quiet()
    delivery.check(most=1)
    return calls


def mail_service_befallen(calls: Iterable[str]) -> bool:
    """An answer of the mail service that got lost cannot be asked for again (R7.3): then an e-mail may be."""
    return any(call.startswith("ses.") for call in calls)


def trouble(scenario: MakeScenario, kind: Kind, server: str, at: int, name: str, directory: Path) -> Counter[str]:
    """One call in trouble; returns whether it happened, and whether the run was green all the same."""
    delivery = prepare(scenario, kind, directory)
    client = delivery.client
    try:
        order(client, server, {"call": "", "skip": at - 1, "times": 1, **TROUBLES[name]})
        run = client.run(**kind.params)
        befallen = order(client, server)
        garbled = (server, name) == ("gcs", "wrong byte")
        if not garbled:
            delivery.check_at_any_moment()
        delivery.until_quiet(may_be_red=True)
        delivery.check(mail_may_be_lost=mail_service_befallen(befallen), disk_garbles=garbled)
    except BaseException as error:
        raise AssertionError(f"{kind}: {server} call {at} {name}: {error}") from error
    return Counter({"happened": bool(befallen), "green": bool(befallen) and run.state == delivery.ends})


@pytest.mark.parametrize("kind", [one for one in TAKING_TURNS if one.values[0] in KINDS_HERE])
def test_a_sample_of_all_troubles(scenario, kind, tmp_path):
    calls = calls_of(scenario, kind, tmp_path)
    points = [(server, at, name) for server, most in calls.items() for at in range(1, most + 1) for name in TROUBLES]
    found = sum(
        (trouble(scenario, kind, *point, tmp_path) for point in drawn_for(kind).sample(points, SAMPLE)), Counter()
    )
    assert found["happened"]


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS_HERE, ids=str)
def test_every_trouble_at_every_call(scenario, kind, tmp_path):
    calls = calls_of(scenario, kind, tmp_path)
    found: dict[str, Counter[str]] = {name: Counter() for name in TROUBLES}
    names = itertools.cycle(TROUBLES)
    # Where there is little time, they take turns: so many at each call.
    each = int(os.environ.get("TROUBLES_PER_CALL", len(TROUBLES)))
    for server, most in calls.items():
        for at in range(1, most + 1):
            for name in itertools.islice(names, each):
                found[name] += trouble(scenario, kind, server, at, name, tmp_path)
    happened = sum(one["happened"] for one in found.values())
    green = {name: f"{one['green']} of {one['happened']}" for name, one in found.items()}
    note(f"{kind}: {calls} calls, {happened} troubles; green at once: {green}")
    # How many calls there are varies a little, for threads take turns: the last ones may not come.
    assert happened >= 0.9 * each * sum(calls.values())
