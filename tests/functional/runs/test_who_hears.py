"""Who hears what: rules of ``notify``, their channels, and what happens when one is down. Whole runs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from structlog.testing import capture_logs

from client_delivery.run import rules, unsent
from client_delivery.runtime import backoff

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
WEBHOOK = {"via": "webhook", "connection_id": "hook"}
SLACK = {"via": "slack", "connection_id": "chat"}
REFUSED = {"call": "ses.SendRawEmail", "status": 400, "code": "AccountSendingPausedException", "times": 0}


@dataclass
class Receiver:
    """A server that takes messages, and responds as a test says."""

    port: int = 0
    says: list[int | float] = field(default_factory=list)
    """For each request a status, or for how many seconds to say nothing (the message is taken all the same)."""
    always: int = 200
    taken: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.taken]

    @property
    def texts(self) -> list[str]:
        """What Slack shows in a list of messages."""
        return [body["text"].partition("] ")[2] for body in self.bodies]


@pytest.fixture
def receiver(monkeypatch) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.asked += 1
            say = receiver.says.pop(0) if receiver.says else receiver.always
            status = 200 if isinstance(say, float) else say
            if 200 <= status < 300:
                receiver.taken.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if isinstance(say, float):
                time.sleep(say)
                return
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{receiver.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.port = server.server_port
    chat = {"conn_type": "slackwebhook", "password": f"{receiver.url}/services/T0/B0/very-secret"}
    hook = {"conn_type": "http", "host": f"{receiver.url}/deliveries", "password": KEY}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(chat))
    monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps(hook))
    monkeypatch.setattr(backoff, "sleep", lambda seconds: None)
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture
def at_once(monkeypatch) -> None:
    """What could not be sent is due again as soon as a run ends."""
    monkeypatch.setattr(unsent, "FIRST_RETRY", timedelta(0))


def in_trouble(client) -> Any:
    """The client's destination, right again afterwards."""
    right = client.config.destination.model_dump()
    client.edit(destination={**right, "bucket": "no-such-bucket"})
    return right


def by_recipient(client) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for mail in client.mails():
        for one in mail.recipients:
            found.setdefault(one, []).append(mail.subject.partition("] ")[2])
    return found


def test_each_rule_is_told_what_it_asks_for_in_its_own_words(scenario, receiver):
    client = scenario(
        "s3",
        send_notifications=False,
        notify=[
            {"to": ["client@payer.example"], "on": ["started", "finished"]},
            {"to": ["team@example.org"], "on": ["failed"], "audience": "team"},
            {**SLACK, "on": ["failed", "recovered"]},
        ],
    )
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")
    assert client.run().state == "success"
    assert by_recipient(client) == {
        "client@payer.example": ["Delivery started: 2 files", "Delivery finished: 2 delivered"]
    }
    assert receiver.taken == []
    right = in_trouble(client)
    client.drop("c.csv", "c")
    run = client.run()
    assert run.state == "failed"
    told = by_recipient(client)
    assert told["client@payer.example"][2:] == ["Delivery started: 1 file", "Delivery finished: 1 not delivered yet"]
    assert told["team@example.org"] == ["Job finished: 1 FAILED"]
    assert receiver.texts == ["Job finished: 1 FAILED"]
    client.edit(destination=right)
    assert client.clear(run).state == "success"
    assert by_recipient(client)["client@payer.example"][4:] == [
        "Delivery started: 1 file",
        "Delivery finished: 1 delivered",
    ]
    assert receiver.texts[1:] == ["Recovered: 1 delivered"]
    assert by_recipient(client)["team@example.org"] == ["Job finished: 1 FAILED"]


def test_the_client_hears_nothing_of_how_it_is_done_and_the_team_all_of_it(scenario, receiver):
    rules_ = [
        {"to": ["client@payer.example"], "on": ["finished"]},
        {"to": ["team@example.org"], "on": ["failed"], "audience": "team"},
        {**SLACK, "on": ["failed"]},
        {**WEBHOOK, "on": ["failed"], "audience": "client"},
    ]
    client = scenario("s3", send_notifications=False, notify=rules_)
    in_trouble(client)
    client.drop("a.csv", "a")
    run = client.run()
    mails = {mail.recipients[0]: mail for mail in client.mails()}
    ours, theirs = mails["team@example.org"], mails["client@payer.example"]
    chat, hook = (body.decode() for _, _, body in receiver.taken)
    for text in (ours.text, ours.html, chat):
        assert "no-such-bucket" in text
        assert "clear the run" in text
    for text in (theirs.text, theirs.html, *theirs.attachments.values(), hook):
        for word in ("no-such-bucket", "s3://", client.config.name, run.run_id, "http://", "Airflow", "clear"):
            assert word not in text, word
    assert "need not send them again" in theirs.text
    assert [*theirs.attachments.values()] == ["file,bytes,outcome\r\na.csv,1,not delivered yet\r\n"]
    assert "a.csv" in hook


def test_a_webhook_is_signed_by_standard_webhooks_and_says_the_same_to_programs(scenario, receiver):
    client = scenario("s3", notify=[{**WEBHOOK, "on": ["finished"]}])
    client.drop("a.csv", "abc")
    run = client.run()
    ((path, headers, body),) = receiver.taken
    assert path == "/deliveries"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    # As the specification has it: the key is what the base64 after whsec_ stands for.
    expected = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
    event = json.loads(body)
    assert event["type"] == "delivery.finished"
    data = event["data"]
    assert {name: data[name] for name in ("version", "client", "configuration", "run", "counts", "bytes", "files")} == {
        "version": 1,
        "client": client.config.client_h_number,
        "configuration": client.config.name,
        "run": run.run_id,
        "counts": {"delivered": 1},
        "bytes": 3,
        "files": [],
    }


def test_a_channel_that_is_down_costs_no_delivery_and_is_told_by_a_later_run_with_the_same_id(
    scenario, receiver, events, at_once
):
    client = scenario("s3", notify=[{**WEBHOOK, "on": ["finished"]}])
    receiver.always = 503
    client.drop("a.csv", "a")
    with capture_logs() as lines:
        run = client.run()
    assert run.state == "success"
    assert set(run.tries.values()) == {1}, "no task is repeated for it"
    assert [mail.subject.partition("] ")[2] for mail in client.mails()] == [
        "Job started: 1 file",
        "Job finished: 1 delivered",
    ]
    assert receiver.asked == 6, "three tries as the delivery ends, and three as the run does"
    assert {line["alarm"] for line in lines if line["event"] == "alarm"} == {"message_not_sent"}
    (line,) = events("message_not_sent")[:1]
    assert line["error"].startswith(
        "The message did not go to a webhook by the connection hook: it responded with 503."
    )
    receiver.always = 200
    assert "notify_finished" not in client.run().executed, "a run that delivers nothing tells it"
    ((_, headers, body),) = receiver.taken
    assert json.loads(body)["data"]["run"] == run.run_id
    assert headers["webhook-id"] == json.loads(body)["data"]["id"]
    client.run()
    assert len(receiver.taken) == 1
    assert client.delivered() == {"a.csv": b"a"}


def test_what_may_have_arrived_goes_again_to_who_knows_its_id_and_to_nobody_else(
    scenario, receiver, at_once, monkeypatch
):
    monkeypatch.setattr(rules, "LONGEST_ATTEMPT", 0.6)
    client = scenario("s3", notify=[{**WEBHOOK, "on": ["finished"]}, {**SLACK, "on": ["finished"]}])
    receiver.says = [2.0, 2.0]
    client.drop("a.csv", "a")
    assert client.run().state == "success"
    client.run()
    client.run()
    by_path: dict[str, list[str]] = {}
    for path, headers, _ in receiver.taken:
        by_path.setdefault(path, []).append(headers.get("webhook-id", ""))
    assert len(by_path["/services/T0/B0/very-secret"]) == 1, "nobody knows, so it is not sent again"
    assert len(by_path["/deliveries"]) == 2
    assert len(set(by_path["/deliveries"])) == 1


@pytest.mark.parametrize("status", [302, 404])
def test_what_is_refused_is_not_tried_at_once_and_goes_nowhere_else(scenario, receiver, events, at_once, status):
    client = scenario("s3", send_notifications=False, notify=[{**SLACK, "on": ["finished"]}])
    receiver.always = status
    client.drop("a.csv", "a")
    assert client.run().state == "success"
    assert receiver.taken == []
    # Once as the delivery ended, and once as the run did.
    assert receiver.asked == 2
    assert f"it responded with {status}" in events("message_not_sent")[0]["error"]


def test_no_value_of_a_connection_is_in_any_line_or_item(scenario, receiver, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    rules_ = [{**SLACK, "on": ["finished"]}, {**WEBHOOK, "on": ["finished"]}]
    client = scenario("s3", send_notifications=False, notify=rules_)
    dead = {"conn_type": "slackwebhook", "password": "http://127.0.0.1:9/services/T0/B0/very-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(dead))
    bad = {"conn_type": "http", "host": f"{receiver.url}/x", "password": "whsec_very-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps(bad))
    client.drop("a.csv", "a")
    assert client.run().state == "success"
    own = [one.getMessage() for one in caplog.records if not one.name.startswith(("urllib3", "botocore"))]
    assert any("no connection" in line for line in own)
    assert any("no signing key" in line for line in own)
    assert not [line for line in own if "very-secret" in line]


def test_all_rules_together_take_a_bounded_time(scenario, receiver, monkeypatch):
    monkeypatch.setattr(rules, "PATIENCE", 2.0)
    chats = []
    for number in range(6):
        monkeypatch.setenv(
            f"AIRFLOW_CONN_CHAT{number}", json.dumps({"conn_type": "http", "password": f"{receiver.url}/{number}"})
        )
        chats.append({"via": "teams", "connection_id": f"chat{number}", "on": ["finished"]})
    client = scenario("s3", send_notifications=False, notify=chats)
    client.drop("a.csv", "a")
    receiver.says = [30.0] * 12
    began = time.monotonic()
    run = client.run()
    assert run.state == "success"
    assert time.monotonic() - began < 20
    assert len(receiver.taken) < 6


def test_a_rule_is_told_once_however_often_a_task_is_tried_or_cleared(scenario, receiver):
    client = scenario("s3", notify=[{**SLACK, "on": ["started", "finished"]}])
    client.aws_faults({**REFUSED, "times": 2})
    client.drop("a.csv", "a")
    run = client.run()
    assert run.tries["notify_started"] == 3
    assert receiver.texts == ["Job started: 1 file", "Job finished: 1 delivered"]
    client.clear_task(run, "notify_finished")
    client.clear(run)
    assert len(receiver.texts) == 2


def test_who_dies_between_claim_and_message_sends_it_not_twice(scenario, receiver, monkeypatch):
    from client_delivery.operators import channels

    class Died(BaseException):
        pass

    def dies(*arguments: Any) -> None:
        raise Died

    client = scenario("s3", notify=[{**SLACK, "on": ["finished"]}])
    client.drop("a.csv", "a")
    with monkeypatch.context() as patch:
        patch.setattr(channels, "send", dies)
        with pytest.raises(Died):
            client.run()
    assert client.run().state == "success"
    client.run()
    assert receiver.texts == []
    assert client.delivered() == {"a.csv": b"a"}


def test_an_address_is_of_the_team_by_the_senders_domain_unless_the_rule_says(scenario, stack):
    client = scenario(
        "s3",
        send_notifications=False,
        notify=[{"to": ["dextr@example.org", "client@payer.example", "x@notexample.org"], "on": ["finished"]}],
    )
    client.drop("a.csv", "a")
    client.run()
    assert by_recipient(client) == {
        "dextr@example.org": ["Job finished: 1 delivered"],
        "client@payer.example": ["Delivery finished: 1 delivered"],
        "x@notexample.org": ["Delivery finished: 1 delivered"],
    }


def test_an_email_rule_that_ses_refuses_goes_with_a_later_run_and_the_contacts_are_as_ever(scenario, at_once):
    client = scenario("s3", notify=[{"to": ["dextr@example.org"], "on": ["finished"]}])
    client.drop("a.csv", "a")
    client.aws_faults(REFUSED)
    run = client.run()
    client.aws_faults()
    assert run.state == "success"
    assert run.states["notify_finished"] == "failed", "for the contacts, as ever"
    assert client.mails() == []
    client.run()
    assert by_recipient(client) == {"dextr@example.org": ["Job finished: 1 delivered"]}
    (mail,) = client.mails()
    assert run.run_id in mail.text, "the link is to the run that it is about"


def test_who_unticks_the_form_silences_the_rules_of_that_run(scenario, receiver):
    client = scenario("s3", notify=[{**SLACK, "on": ["started", "finished"]}])
    client.drop("a.csv", "a")
    client.run(send_notifications=False)
    assert receiver.texts == []
    assert client.mails() == []


def test_held_files_are_told_once_a_day_by_each_rule(scenario, receiver, monkeypatch):
    from client_delivery.run import held

    monkeypatch.setattr(held, "_TOLD_BY_FINISH_MAIL", timedelta(0))
    client = scenario("s3", send_notifications=False, notify=[{**SLACK, "on": ["held"]}])
    in_trouble(client)
    client.drop("a.csv", "a")
    client.run()
    assert client.run().state == "failed"
    client.run()
    assert receiver.texts == ["Still held: 1 held"]
    assert client.mails() == []


def test_a_message_that_nobody_took_for_three_days_is_given_up_and_said(scenario, receiver, events, monkeypatch):
    client = scenario("s3", send_notifications=False, notify=[{**SLACK, "on": ["finished"]}])
    receiver.always = 404
    client.drop("a.csv", "a")
    client.run()
    monkeypatch.setattr(unsent, "TOLD_FOR", timedelta(0))
    receiver.always = 200
    client.run()
    client.run()
    assert receiver.taken == []
    assert len(events("message_given_up")) == 1
