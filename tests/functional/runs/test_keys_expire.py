"""Keys that expire or grow too old: whole runs, idle and delivering, on a clock of the test's."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pysequoia
import pytest
from structlog.testing import capture_logs

from client_delivery.run import keys, unsent

TEAM = "dextr@example.org"
RULE = {"to": [TEAM, "client@payer.example"], "on": ["expiring"]}
REFUSED = {"call": "ses.SendRawEmail", "status": 400, "code": "AccountSendingPausedException", "times": 0}


@pytest.fixture
def clock(monkeypatch):
    """What the look takes for now: noon, so that no midnight comes between two steps."""
    noon = datetime.now(UTC).replace(hour=12)

    class Clock(datetime):
        ahead = timedelta(0)

        @classmethod
        def now(cls, tz=None):
            return noon + cls.ahead

    monkeypatch.setattr(keys, "datetime", Clock)
    return Clock


def subjects(client) -> list[str]:
    return [mail.subject.partition("] ")[2] for mail in client.mails()]


def item(client) -> dict[str, Any]:
    found = client.stack.client("dynamodb").get_item(
        TableName=client.stack.environment()["AIRFLOW__DELIVERY__LEDGER_TABLE"],
        Key={"clientHNumber": {"S": client.config.delivery_key}, "etag": {"S": "mark#keys"}},
    )["Item"]
    states: dict[str, Any] = json.loads(found["states"]["S"])
    return states


def test_a_recipients_key_is_told_to_the_rules_alone_once_at_each_step_by_idle_runs(scenario, clock, events):
    good_for = clock.now() + timedelta(days=40, hours=6) - datetime.now(UTC)  # whatever the hour is by now
    tsk = pysequoia.Tsk.generate("soon@example.org", validity_seconds=int(good_for.total_seconds()))
    soon = tsk.extract_certificate()
    client = scenario("s3", encrypt={"recipients": [str(soon)]}, notify=[RULE])
    told = []
    with capture_logs() as lines:
        for day in range(0, 42):
            if day in (0, 9, 10, 11, 32, 33, 34, 38, 39, 40, 41):
                clock.ahead = timedelta(days=day)
                for _ in range(2):
                    assert client.run().state == "success"
                told.append((day, len(events("key_expires"))))
    assert told == [(0, 0), (9, 0), (10, 1), (11, 1), (32, 1), (33, 2), (34, 2), (38, 2), (39, 3), (40, 4), (41, 4)]
    assert [line["alarm"] for line in lines if line["event"] == "alarm"] == ["key_expires"] * 4
    assert subjects(client) == [
        f"Keys expire: 1 key, {when}" for when in ("in 30 days", "in 7 days", "in 1 day", "now") for _ in range(2)
    ]
    assert {one for mail in client.mails() for one in mail.recipients} == {TEAM, "client@payer.example"}
    for mail in client.mails():
        assert soon.fingerprint.upper() in mail.text
        assert (client.config.name in mail.text) == (TEAM in mail.recipients), "nothing internal to the client"


@pytest.mark.parametrize("destination", ["sftp", "gcs"])
def test_age_is_told_by_a_run_that_delivers_and_an_unreadable_credential_fails_none(
    scenario, clock, events, monkeypatch, destination
):
    monkeypatch.setenv("AIRFLOW__DELIVERY__KEY_MAX_AGE_DAYS", "90")
    monkeypatch.setattr(unsent, "FIRST_RETRY", timedelta(0))
    client = scenario(destination, send_notifications=False, notify=[RULE])
    client.drop("a.csv", "a")
    assert client.run().state == "success"
    first = item(client)
    variable = f"AIRFLOW_CONN_{client.config.name.upper()}"
    with monkeypatch.context() as patch:
        patch.setenv(variable, json.dumps({"conn_type": "generic", "extra": "very-secret"}))
        clock.ahead = timedelta(days=5)
        for _ in range(2):
            assert client.run().state == "success"
    unread = [line["kind"] for line in events("key_not_read")]
    assert len(unread) == 1
    assert unread[0] in ("our SSH key", "service-account key")
    assert {name: one["since"] for name, one in item(client).items()} == {
        name: one["since"] for name, one in first.items()
    }
    clock.ahead = timedelta(days=60)
    client.drop("b.csv", "b")
    client.aws_faults(REFUSED)
    assert client.run().state == "success"
    client.aws_faults()
    assert client.delivered() == {"a.csv": b"a", "b.csv": b"b"}
    assert client.mails() == []
    client.run()
    assert {subject.partition(": ")[0] for subject in subjects(client)} == {"Keys expire"}
    assert len(client.mails()) == 2, "what SES refused goes with a later run, once to each"
    client.run()
    assert len(client.mails()) == 2
    (mail, _) = client.mails()
    for name in first:
        assert name.partition("|")[2] in mail.text
    connection = json.loads(os.environ[variable])
    for secret in [connection.get("password"), *json.dumps(connection).split("\\\\n")[1:-1]]:
        if secret and len(secret) > 30:
            assert secret not in mail.text + json.dumps(item(client))
