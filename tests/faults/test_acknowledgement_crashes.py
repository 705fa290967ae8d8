"""Killed at any call of the run that looks for acknowledgements (R3.5, R3.8, R7.2).

What was put back is in the record in the end, what was not is told at most once, and no delivery is touched by it.

A sample is part of every test run; `make test-slow` does all.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client_delivery.ledger.acknowledgements import Acknowledgements
from client_delivery.ledger.entry import Status, timestamp
from client_delivery.ledger.history import History
from local.stand_ins import LEDGER_TABLE
from tests.faults.crash import Death, ResumableRuns, die_at
from tests.faults.deliveries import drawn_for, note
from tests.faults.killer import When
from tests.support.runs import Runs
from tests.support.scenario import MakeScenario, Scenario

SAMPLE = 1
MOST_CALLS = 1000
RECOVERIES = ("tried again", "given up")
WITHIN = timedelta(seconds=1)
FILES = {"here.csv": b"here", "in/missing.csv": b"missing"}
TOLD = "Not acknowledged: 1 file, "


def prepared(scenario: MakeScenario, kind: str) -> Scenario:
    """Two files were delivered, one of them is acknowledged, the time of both is over, and a look is due."""
    client = scenario(kind, acknowledgement={"pattern": "acks/{delivered}.ok", "within": "1 min"})
    section = client.config.acknowledgement
    assert section is not None
    for name, content in FILES.items():
        client.drop(name, content)
    assert client.run().state == "success"
    # No configuration may ask for so little; a test need not wait for a minute.
    shorter = {"acknowledgement": section.model_copy(update={"within": WITHIN})}
    client.config = client.config.model_copy(update=shorter)
    client._runs = Runs(client.config)
    if kind == "sftp":
        path = client.sftp.root / client.config.destination.directory / "acks" / "here.csv.ok"
        path.parent.mkdir()
        path.write_bytes(b"ok")
    else:
        place = client.config.destination
        client.s3.put_object(Bucket=place.bucket, Key=f"{place.prefix}acks/here.csv.ok", Body=b"ok")
    time.sleep(WITHIN.total_seconds())  # the time itself is what the run judges by
    kept = kept_of(client)
    before = kept.progress()
    assert before is not None
    assert kept.keep(before, datetime.now(UTC), replace(before, next_look=timestamp(datetime.now(UTC))))
    return client


def kept_of(client: Scenario) -> Acknowledgements:
    return Acknowledgements(client.stack.client("dynamodb"), LEDGER_TABLE, client.config.delivery_key)


def judged(client: Scenario) -> int:
    """How many files the ledger says are missing: whoever writes that has claimed to tell it."""
    progress = kept_of(client).progress()
    assert progress is not None
    return progress.missing


def acknowledged(client: Scenario) -> dict[str, str]:
    recorded = History(client.stack.client("dynamodb"), LEDGER_TABLE).of_client(client.config.delivery_key).found
    there = kept_of(client).of(one.position for one in recorded)
    return {one.file_name: one.found for one in there.values()}


def crash(scenario: MakeScenario, kind: str, at: int, when: When, recovery: str, notes: Path) -> Death:
    client = prepared(scenario, kind)
    delivered, mails = client.delivered(), len(client.mails())
    runs = ResumableRuns(client.config, notes / "run")
    death = die_at(at, when, runs, notes / "call")
    claimed = judged(client)
    if recovery == "tried again":
        assert runs.go_on().state == "success"
    for _ in range(2):
        assert client.run().executed == ["register_files"]
    assert acknowledged(client) == {"here.csv": "acks/here.csv.ok"}
    assert judged(client) == 1
    told = [mail for mail in client.mails()[mails:] if TOLD in mail.subject]
    assert len(told) <= 1
    assert told or (death.killed and claimed), "nobody had claimed to tell it, and nobody told it"
    assert all("in/missing.csv" in mail.text and "here.csv" not in mail.text for mail in told)
    assert client.delivered() == delivered
    sent = {name: (entry.status, entry.fencing_token) for name, entry in client.entries().items()}
    assert sent == dict.fromkeys(FILES, (Status.SUCCESS, 1)), "nothing was begun anew"
    client.forget()
    return death


def calls_of(scenario: MakeScenario, kind: str, notes: Path) -> int:
    """How many calls such a run makes when nobody kills it."""
    death = crash(scenario, kind, MOST_CALLS, "before", "given up", notes)
    assert not death.killed
    assert death.calls > 5
    return death.calls


def test_a_sample_of_all_crash_points(scenario, tmp_path):
    points = list(
        itertools.product(range(1, calls_of(scenario, "sftp", tmp_path) + 1), ("before", "after"), RECOVERIES)
    )
    for at, when, recovery in drawn_for("acknowledgements").sample(points, SAMPLE):
        crash(scenario, "sftp", at, when, recovery, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_every_crash_point(scenario, kind, tmp_path):
    calls, tried = calls_of(scenario, kind, tmp_path), Counter[str]()
    for at, when, recovery in itertools.product(range(1, calls + 1), ("before", "after"), RECOVERIES):
        death = crash(scenario, kind, at, when, recovery, tmp_path)
        tried[f"{when}, {recovery}"] += death.killed
    note(f"acknowledgements, {kind}: {calls} calls, {sum(tried.values())} crashes: {dict(tried)}")
    assert sum(tried.values()) > calls
