"""Trouble of one file, one client, one try, or a service in between: the others go on."""

from __future__ import annotations

import json
import logging
import random
import time
from datetime import timedelta

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.transfer_batch import TransferBatchOperator
from client_delivery.run.mails import FinishedMail
from client_delivery.transfer.plan import longest
from tests.functional.runs.trouble import after


def test_one_clients_trouble_is_no_others(scenario):
    broken, sound = scenario("sftp", place={"port": 1}), scenario("sftp")
    for client in (broken, sound):
        client.drop("a.csv")
    assert broken.run().state == "failed"
    assert sound.run().state == "success"
    assert sound.delivered() == {"a.csv": b"content"}


@pytest.mark.parametrize("name", ["../up.csv", "a/../../b.csv", "line\u2028break.csv"])
def test_r6_8_a_name_that_could_escape_is_refused_and_the_others_go(scenario, name):
    client = scenario("sftp")
    client.drop(name, "bad")
    client.drop("good.csv", "good")
    run = client.run()
    assert run.state == "failed"
    assert client.entries()[name].status is Status.FAIL
    assert "Rename the file" in str(client.entries()[name].last_error)
    assert client.delivered() == {"good.csv": b"good"}


def test_r6_3_a_task_that_is_told_to_stop_is_not_green_and_its_next_try_goes_on(scenario, monkeypatch):
    client = scenario("gcs")
    for name in ("a.csv", "b.csv"):
        client.drop(name, name)
    execute, told = TransferBatchOperator.execute, []

    def stopped_once(self, context):
        if told:
            self._stop.clear()
        else:
            told.append(True)
            self.on_kill()
        return execute(self, context)

    monkeypatch.setattr(TransferBatchOperator, "execute", stopped_once)
    run = client.run()
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 2
    assert set(client.delivered()) == {"a.csv", "b.csv"}


def test_r6_7_what_a_tasks_own_limit_stops_is_gone_on_with_by_its_next_try(scenario, monkeypatch, caplog):
    """The limit, an hour and more, is four seconds here; the file takes eight at the rate that the client has.

    By SFTP, where all that has arrived counts: of a large upload to an object store only whole parts do.
    """
    client = scenario("sftp", place={"max_bytes_per_second": 8 * 1024**2})
    content = random.Random(1).randbytes(64 * 1024**2)
    client.drop("big.bin", content)
    execute, began = TransferBatchOperator.execute, []

    def each_in_a_process_of_its_own(self, context):
        began.append(time.monotonic())
        self._stop.clear()
        return execute(self, context)

    def limit(*of: object) -> timedelta:
        return timedelta(seconds=4) if len(began) == 1 else longest(*of)

    monkeypatch.setattr(TransferBatchOperator, "execute", each_in_a_process_of_its_own)
    monkeypatch.setattr("client_delivery.run.transfer.longest", limit)
    with caplog.at_level(logging.INFO):
        run = client.run()
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 2
    events = [json.loads(one.getMessage()) for one in caplog.records if one.name.startswith("client_delivery.event.")]
    assert [one["event"] for one in events].count("file_interrupted") == 1
    (resumed,) = [one for one in events if one["event"] == "file_resumed"]
    assert 0 < resumed["there"] < len(content)
    assert client.delivered() == {"big.bin": content}
    assert client.entries()["big.bin"].send_attempts == 0, "to be stopped is no failed attempt"


def test_r8_3_a_file_that_failed_in_an_earlier_try_keeps_its_task_red(scenario, monkeypatch):
    client = scenario("gcs")
    client.drop("gone.csv", "gone")
    client.drop("slow.csv", "slow")
    after(monkeypatch, RegisterFilesSensor, lambda: client.withdraw("gone.csv"))
    client.gcs_faults({"call": "PutObject", "status": 400, "code": "InvalidArgument", "times": 1})
    run = client.run()
    assert client.delivered() == {"slow.csv": b"slow"}
    assert run.tries["transfer_batch[0]"] == 2
    assert "gone.csv" in str(run.errors["transfer_batch[0]"])


def test_r7_3_a_mail_service_that_is_down_stops_no_delivery_and_its_tasks_say_so(scenario):
    client = scenario("gcs")
    client.drop("a.csv")
    client.aws_faults({"call": "ses.SendRawEmail", "status": 503, "code": "ServiceUnavailable", "times": 0})
    run = client.run()
    client.aws_faults()
    assert client.delivered() == {"a.csv": b"content"}
    assert {run.states[task] for task in ("notify_started", "notify_finished")} == {"failed"}
    assert run.states["report"] == "success"
    assert run.state == "success"
    entry = client.entries()["a.csv"]
    assert (entry.status, entry.active) == (Status.SUCCESS, False)
    assert client.mails() == []


@pytest.mark.parametrize("call", ["dynamodb.TransactWriteItems", "dynamodb.UpdateItem"])
@pytest.mark.parametrize("skip", range(3))
def test_r3_5_an_answer_of_the_ledger_that_is_lost_costs_neither_a_file_nor_an_e_mail(scenario, call, skip):
    """Found by the campaign: files whose registration was confirmed to nobody were taken for another run's."""
    client = scenario("gcs")
    client.drop("before.csv", b"sent before")
    assert client.run().state == "success"
    client.drop("copy.csv", b"sent before")
    client.drop("new.csv", b"new")
    client.drop("other.csv", b"other")
    before = len(client.mails())
    client.aws_faults({"call": call, "skip": skip, "reset": "after"})
    run = client.run()
    assert run.state == "success", run.errors
    assert set(run.tries.values()) == {1}
    assert client.delivered() == {"before.csv": b"sent before", "new.csv": b"new", "other.csv": b"other"}
    assert [mail.subject.split()[2].strip(":") for mail in client.mails()[before:]] == ["started", "finished"]


@pytest.mark.parametrize("when", ["before the claim", "after it"])
def test_r7_3_trouble_before_the_e_mail_is_sent_does_not_lose_it(scenario, monkeypatch, when):
    """Found by the campaign: between claim and mail service the ledger was asked once more, and refused."""
    client = scenario("gcs")
    client.drop("a.csv")
    method = {"before the claim": "held", "after it": "duplicates"}[when]
    real, calls = getattr(FinishedMail, method), []

    def fails_once(self, *arguments):
        calls.append(method)
        if len(calls) == 1:
            raise RuntimeError("no answer")
        return real(self, *arguments)

    monkeypatch.setattr(FinishedMail, method, fails_once)
    run = client.run()
    assert run.state == "success"
    assert run.tries["notify_finished"] == 2
    assert [mail.subject.split()[2].strip(":") for mail in client.mails()] == ["started", "finished"]


@pytest.mark.parametrize("how", ["configuration", "form"])
def test_r7_1_no_e_mails_where_they_are_switched_off(scenario, how):
    client = scenario("gcs", **({"send_notifications": False} if how == "configuration" else {}))
    client.drop("a.csv")
    run = client.run(**({"send_notifications": False} if how == "form" else {}))
    assert run.states["report"] == "success"
    assert client.delivered() == {"a.csv": b"content"}
    assert client.mails() == []
    assert client.ledger.open_entries() == [], "the run is wound up all the same (R8.2)"


def test_r6_7_what_no_attempt_lived_to_clean_up_is_cleaned_up_at_the_end(scenario, monkeypatch):
    """Every try of the transfer is killed in the middle of a large file; then Airflow gives up."""
    client = scenario("gcs")
    client.drop("large.bin", bytes(40 * 1024**2))
    monkeypatch.setattr(
        "client_delivery.run.attempt.Batch._finish", lambda *_: (_ for _ in ()).throw(RuntimeError("killed"))
    )
    client.gcs_faults({"call": "UploadPart$", "status": 400, "code": "InvalidArgument", "skip": 1, "times": 0})
    run = client.run()
    assert run.state == "failed"
    entry = client.entries()["large.bin"]
    assert entry.status is Status.FAIL
    assert "No attempt left an outcome" in str(entry.last_error)
    assert client.stack.gcs(f"uploads/{client.config.destination.bucket}") == []
