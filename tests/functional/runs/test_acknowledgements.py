"""R8: a recipient puts back a file for each that has arrived: it is looked for, recorded, and its absence told once."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from client_delivery.ledger.acknowledgements import Acknowledgements
from client_delivery.ledger.history import History
from client_delivery.probe.trial import Found, Wanted, try_destination
from client_delivery.run import acknowledgements, unsent
from client_delivery.transfer.sftp.packets import PERMISSION_DENIED, SftpError
from client_delivery.transfer.sftp.session import SftpSession
from local.stand_ins import LEDGER_TABLE
from tests.support.scenario import Scenario

TEAM = "dextr@example.org"
RULE = {"to": [TEAM], "on": ["late", "recovered"]}
IDLE = ["register_files"]
ACK = {"pattern": "acks/{delivered}.ok", "within": "24 h"}
MISSING, CAME = "Not acknowledged", "Acknowledged late"
LISTED = SftpSession.listed
REFUSAL = "Acknowledgements cannot be looked for"


@pytest.fixture
def clock(monkeypatch):
    """What a look takes for now."""

    class Clock(datetime):
        ahead = timedelta(0)

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + cls.ahead

    monkeypatch.setattr(acknowledgements, "datetime", Clock)
    return Clock


def put_back(client: Scenario, name: str, content: bytes = b"ok", *, place: str | None = None) -> None:
    """The recipient does."""
    destination = client.config.destination
    match destination.type:
        case "s3":
            client.s3.put_object(Bucket=destination.bucket, Key=(place or destination.prefix) + name, Body=content)
        case "gcs":
            url = f"{client.stack.gcs_url}/upload/storage/v1/b/{destination.bucket}/o"
            asked = {"uploadType": "media", "name": (place or destination.prefix) + name}
            token = {"Authorization": f"Bearer {token_of(client)}"}
            httpx.post(url, params=asked, content=content, headers=token).raise_for_status()
        case _:
            path = client.sftp.root / (place or destination.directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def token_of(client: Scenario) -> str:
    """The stand-in gives one to whoever shows something that is like a signed assertion."""
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}
    told = httpx.post(f"{client.stack.gcs_url}/token", data=form).raise_for_status()
    return str(told.json()["access_token"])


def seen(client: Scenario) -> dict[str, str]:
    """What the ledger says is acknowledged: the file, and by what."""
    dynamodb, key = client.stack.client("dynamodb"), client.config.delivery_key
    recorded = History(dynamodb, LEDGER_TABLE).of_client(key, status="success").found
    there = Acknowledgements(dynamodb, LEDGER_TABLE, key).of(one.position for one in recorded)
    return {one.file_name: one.found for one in there.values()}


def subjects(client: Scenario) -> list[str]:
    """Of what is told of acknowledgements."""
    titles = (MISSING, CAME, REFUSAL)
    return [said for mail in client.mails() if (said := mail.subject.partition("] ")[2]).startswith(titles)]


def idle(client: Scenario) -> list[str]:
    """An idle run; returns the alarms."""
    with capture_logs() as lines:
        run = client.run()
    assert run.state == "success", run.errors
    assert run.executed == IDLE
    return [line["alarm"] for line in lines if line["event"] == "alarm"]


def listings(client: Scenario) -> int:
    counts = httpx.get(f"{client.stack.aws_url}/_local/requests", timeout=30).json()
    return int(counts.get("s3.ListObjectsV2", 0))


def deliver(client: Scenario, *names: str) -> None:
    for name in names:
        client.drop(name, os.urandom(20))
    run = client.run()
    assert run.state == "success", run.errors


@pytest.mark.parametrize("kind", ["s3", "gcs", "sftp"])
def test_what_comes_is_recorded_and_what_does_not_is_told_once(scenario, clock, kind):
    client = scenario(kind, acknowledgement=ACK, notify=[RULE], after_delivery="delete")
    deliver(client, "a.csv", "in/b.csv")
    put_back(client, "acks/a.csv.ok")
    put_back(client, "acks/b.csv.ok")  # of no file: b.csv is in a folder
    assert idle(client) == []
    assert seen(client) == {}, "nobody has looked so soon"
    clock.ahead = timedelta(minutes=6)
    assert idle(client) == []
    assert seen(client) == {"a.csv": "acks/a.csv.ok"}
    clock.ahead = timedelta(hours=23)
    assert idle(client) == []
    clock.ahead = timedelta(hours=24, minutes=1)
    assert idle(client) == ["not_acknowledged"]
    for hours in (25, 100):
        clock.ahead = timedelta(hours=hours)
        assert idle(client) == []
    told = f"{MISSING}: 1 file, acks/{{delivered}}.ok within 24 h"
    assert subjects(client) == [told, told], "the contacts, and the rule"
    assert all("in/b.csv" in mail.text for mail in client.mails()[-2:])
    put_back(client, "acks/in/b.csv.ok")
    clock.ahead = timedelta(hours=110)
    assert idle(client) == []
    assert seen(client) == {"a.csv": "acks/a.csv.ok", "in/b.csv": "acks/in/b.csv.ok"}
    assert subjects(client)[2:] == [f"{CAME}: 1 file, and none is missing"] * 2
    clock.ahead = timedelta(hours=200)
    assert idle(client) == []
    assert len(subjects(client)) == 4
    there = client.delivered()
    assert there["acks/a.csv.ok"] == there["acks/in/b.csv.ok"] == b"ok", "what was put back stays"


@pytest.mark.parametrize("kind", ["s3", "gcs", "sftp"])
def test_where_listing_is_refused_that_is_said_and_nothing_is_called_missing(scenario, clock, monkeypatch, kind):
    client = scenario(kind, acknowledgement=ACK, notify=[RULE])
    deliver(client, "a.csv")
    refuse(client, monkeypatch)
    clock.ahead = timedelta(hours=2)
    assert idle(client) == [], "the time is not over"
    for hours, alarms in ((25, ["not_acknowledged"]), (36, [])):
        clock.ahead = timedelta(hours=hours)
        assert idle(client) == alarms
    assert [one.partition(":")[0] for one in subjects(client)] == [REFUSAL, REFUSAL]
    rights = {"s3": "s3:ListBucket", "gcs": "storage.objects.list", "sftp": "refuses to list"}
    assert rights[kind] in client.mails()[-1].text
    put_back(client, "acks/a.csv.ok")
    refuse(client, monkeypatch, ends=True)
    clock.ahead = timedelta(hours=50)
    assert idle(client) == []
    assert seen(client) == {"a.csv": "acks/a.csv.ok"}
    assert len(subjects(client)) == 2, "it was there in time, and nobody called it missing"


def refuse(client: Scenario, monkeypatch: pytest.MonkeyPatch, *, ends: bool = False) -> None:
    """The recipient lets nobody list any more."""
    match client.config.destination.type:
        case "s3":
            rule = {"call": "s3.ListObjectsV2", "status": 403, "code": "AccessDenied", "times": 0}
            client.aws_faults(*([] if ends else [{**rule, "path": client.config.destination.bucket}]))
        case "gcs":
            rule = {"call": "json.List", "status": 403, "code": "forbidden", "times": 0}
            client.gcs_faults(*([] if ends else [rule]))
        case _:

            def listed(self: SftpSession, path: str) -> Any:
                raise SftpError(PERMISSION_DENIED, "Permission denied", "list")

            monkeypatch.setattr(SftpSession, "listed", LISTED if ends else listed)


def test_an_old_file_and_another_files_do_not_count(scenario, clock, events):
    client = scenario("s3", acknowledgement={"pattern": "{stem}*.ack", "within": "24 h"}, bypass_file_checks=True)
    deliver(client, "claims.csv", "claims2.csv")
    put_back(client, "claims2_ok.ack")
    clock.ahead = timedelta(minutes=6)
    idle(client)
    assert seen(client) == {"claims2.csv": "claims2_ok.ack"}
    put_back(client, "claims-1.ack")
    clock.ahead = timedelta(minutes=30)
    idle(client)
    assert seen(client) == {"claims.csv": "claims-1.ack", "claims2.csv": "claims2_ok.ack"}
    # Sent once more: what acknowledged the delivery before lies there still, and is hardly older.
    deliver(client, "claims.csv")
    clock.ahead = timedelta(hours=2)
    idle(client)
    assert len(events("file_acknowledged")) == 2
    clock.ahead = timedelta(hours=25)
    assert idle(client) == ["not_acknowledged"]
    put_back(client, "claims-2.ack")
    clock.ahead = timedelta(hours=40)
    idle(client)
    assert [line["found"] for line in events("file_acknowledged")] == [
        "claims2_ok.ack",
        "claims-1.ack",
        "claims-2.ack",
    ]


def test_an_acknowledgement_that_is_older_than_the_delivery_is_of_an_earlier_one(scenario, clock, events):
    client = scenario("sftp", acknowledgement={"pattern": "{stem}.ack", "place": "out"})
    put_back(client, "a.ack", place="out")
    old = (datetime.now(UTC) - timedelta(minutes=6)).timestamp()
    os.utime(client.sftp.root / "out" / "a.ack", (old, old))
    deliver(client, "a.csv")
    clock.ahead = timedelta(minutes=6)
    assert idle(client) == []
    assert seen(client) == {}
    put_back(client, "a.ack", b"again", place="out")
    clock.ahead = timedelta(minutes=20)
    assert idle(client) == []
    assert seen(client) == {"a.csv": "a.ack"}


def test_a_destination_that_is_down_costs_no_delivery_and_is_judged_when_it_is_back(scenario, clock, events):
    client = scenario("s3", acknowledgement=ACK, send_notifications=False, notify=[RULE])
    deliver(client, "a.csv")
    clock.ahead = timedelta(minutes=6)
    down = {"call": "s3.ListObjectsV2", "path": client.config.destination.bucket, "status": 503, "code": "SlowDown"}
    client.aws_faults({**down, "times": 0})
    deliver(client, "b.csv")
    assert "SlowDown" in events("acknowledgements_not_looked_for")[-1]["error"]
    client.aws_faults()
    clock.ahead = timedelta(hours=25)
    assert idle(client) == ["not_acknowledged"]
    assert subjects(client) == [f"{MISSING}: 2 files, acks/{{delivered}}.ok within 24 h"]


def test_nothing_is_asked_where_nothing_is_awaited_and_of_what_was_delivered_before(scenario, clock, events):
    client = scenario("s3")
    deliver(client, "before.csv")
    assert client.run().state == "success"
    before = listings(client)
    assert idle(client) == []
    usual = listings(client) - before
    client.edit(acknowledgement=ACK)
    assert idle(client) == []
    clock.ahead = timedelta(hours=30)
    before = listings(client)
    assert idle(client) == []
    assert listings(client) - before == usual, "the pick-up's alone"
    assert seen(client) == {}
    assert events("acknowledgements_missing") == []


def test_what_could_not_be_told_is_told_by_a_later_run(scenario, clock, monkeypatch):
    client = scenario("s3", acknowledgement=ACK, send_notifications=False, notify=[RULE])
    deliver(client, "a.csv")
    clock.ahead = timedelta(hours=25)
    client.aws_faults({"call": "ses.SendRawEmail", "status": 400, "code": "MessageRejected", "times": 1})
    assert set(idle(client)) == {"not_acknowledged", "message_not_sent"}
    assert subjects(client) == []
    monkeypatch.setattr(unsent, "FIRST_RETRY", timedelta(0))
    idle(client)
    assert subjects(client) == [f"{MISSING}: 1 file, acks/{{delivered}}.ok within 24 h"]


def test_a_test_of_the_destination_says_whether_they_can_be_looked_for(scenario):
    client = scenario("s3", acknowledgement=ACK)
    put_back(client, "acks/a.csv.ok")

    def told() -> str:
        wanted = Wanted(write=False, public_address=False)
        report = try_destination(client.config, no_credential, gcs_endpoint="", wanted=wanted)
        (line,) = (one for one in report.found.findings if one.what == "Acknowledgements")
        return line.told

    def no_credential(_: str) -> Found:
        raise AssertionError

    assert "acks/ can be listed" in told()
    refuse(client, pytest.MonkeyPatch())
    assert "s3:ListBucket" in told()
    refuse(client, pytest.MonkeyPatch(), ends=True)
