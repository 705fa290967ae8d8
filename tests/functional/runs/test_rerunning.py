"""Operators send again what failed: R5.4, from the Airflow UI."""

from __future__ import annotations

import json
import os

from client_delivery.ledger.entry import MAX_ATTEMPTS, Status
from client_delivery.ledger.table import Ledger


def broken_then_mended(scenario, monkeypatch, **changes):
    """A client whose first run failed because its secret was missing; now it is there."""
    client = scenario("gcs", **changes)
    variable = f"AIRFLOW_CONN_{client.config.name.upper()}"
    good = os.environ[variable]
    monkeypatch.setenv(variable, json.dumps({"conn_type": "generic"}))
    client.drop("a.csv")
    if client.config.trigger_on_done_file:
        client.drop_done()
    run = client.run()
    assert client.entries()["a.csv"].send_attempts == MAX_ATTEMPTS
    monkeypatch.setenv(variable, good)
    return client, run


def test_r5_4_a_failed_file_is_held_until_someone_asks(scenario, monkeypatch):
    client, _ = broken_then_mended(scenario, monkeypatch)
    idle = client.run()
    assert idle.executed == ["register_files"]
    assert client.waiting() == ["a.csv"]
    client.drop("b.csv", "b")
    client.run()
    assert client.delivered() == {"b.csv": b"b"}
    assert "a.csv" in client.mails()[-1].text
    assert "1 held" in client.mails()[-1].subject


def test_r5_4_clearing_the_run_sends_what_failed_with_fresh_attempts(scenario, monkeypatch):
    client, run = broken_then_mended(scenario, monkeypatch)
    again = client.clear(run)
    assert again.state == "success"
    assert client.delivered() == {"a.csv": b"content"}
    assert client.entries()["a.csv"].send_attempts == 0


def test_r5_4_clearing_only_the_transfer_task_does_too(scenario, monkeypatch):
    client, run = broken_then_mended(scenario, monkeypatch)
    again = client.clear_transfers(run)
    assert again.state == "success"
    assert client.delivered() == {"a.csv": b"content"}


def test_r5_4_clearing_only_the_failed_tasks_does_too_and_winds_the_run_up(scenario, monkeypatch):
    """The finish e-mail did not fail: the UI's *Clear only failed tasks* leaves it out."""
    client, run = broken_then_mended(scenario, monkeypatch)
    again = client.clear_failed(run)
    assert again.state == "success"
    assert client.delivered() == {"a.csv": b"content"}
    entry = client.entries()["a.csv"]
    assert (entry.status, entry.active) == (Status.SUCCESS, False)
    assert client.ledger.open_entries() == []
    assert "Job finished: 1 delivered" in client.mails()[-1].subject


def test_r5_4_a_done_file_clients_failed_files_go_by_a_clear_although_the_done_file_is_gone(scenario, monkeypatch):
    client, run = broken_then_mended(scenario, monkeypatch, trigger_on_done_file=True)
    assert client.waiting() == ["a.csv"], "the done file has been removed"
    assert client.clear(run).state == "success"
    assert client.delivered() == {"a.csv": b"content"}


def test_r5_4_a_done_file_clients_failed_files_go_by_resend_failed(scenario, monkeypatch):
    client, _ = broken_then_mended(scenario, monkeypatch, trigger_on_done_file=True)
    assert client.run().executed == ["register_files"]
    assert client.run(resend_failed=True).state == "success"
    assert client.delivered() == {"a.csv": b"content"}


def test_r5_4_clearing_a_transfer_while_the_run_goes_on_takes_over_what_it_began(scenario, monkeypatch):
    """Airflow gives the whole run a new life; the ledger knows the files by the old one, still active."""
    client = scenario("gcs")
    client.drop("a.csv")
    with monkeypatch.context() as patch:
        patch.setattr(
            "client_delivery.run.attempt.Batch.deliver", lambda *_: (_ for _ in ()).throw(RuntimeError("killed"))
        )
        for task in ("notify.NotifyFinishedOperator", "report.ReportOperator"):
            patch.setattr(f"client_delivery.operators.{task}.execute", lambda *_: None)
        run = client.run()
    assert client.entries()["a.csv"].active
    again = client.clear_transfers(run)
    assert again.state == "success"
    assert client.delivered() == {"a.csv": b"content"}
    assert client.ledger.open_entries() == []


def test_r8_3_a_wind_up_that_is_tried_again_half_done_still_is_red(scenario, monkeypatch):
    client = scenario("gcs")
    client.drop("a.csv")
    monkeypatch.setenv(f"AIRFLOW_CONN_{client.config.name.upper()}", json.dumps({"conn_type": "generic"}))
    real, calls = Ledger.deactivate, []

    def fails_once(ledger, entries):
        calls.append(entries)
        if len(calls) == 1:
            raise RuntimeError("no answer")
        return real(ledger, entries)

    monkeypatch.setattr(Ledger, "deactivate", fails_once)
    run = client.run()
    assert run.tries["report"] == 2
    assert run.state == "failed"
    assert "a.csv" in str(run.errors["report"])


def test_r8_3_only_the_failed_tasks_cleared_and_failed_again_are_red_with_the_reason(scenario, monkeypatch):
    client, run = broken_then_mended(scenario, monkeypatch)
    monkeypatch.setenv(f"AIRFLOW_CONN_{client.config.name.upper()}", json.dumps({"conn_type": "generic"}))
    again = client.clear_failed(run)
    assert again.state == "failed"
    assert "a.csv" in str(again.errors["report"])
    assert not client.entries()["a.csv"].active


def test_r5_4_a_cleared_run_that_fails_again_has_three_attempts_and_no_more(scenario, monkeypatch):
    client, run = broken_then_mended(scenario, monkeypatch)
    monkeypatch.setenv(f"AIRFLOW_CONN_{client.config.name.upper()}", json.dumps({"conn_type": "generic"}))
    again = client.clear(run)
    assert again.state == "failed"
    assert again.tries["transfer_batch[0]"] == MAX_ATTEMPTS
    assert client.entries()["a.csv"].send_attempts == MAX_ATTEMPTS


def test_r5_4_resend_failed_does_it_from_the_trigger_form(scenario, monkeypatch):
    client, _ = broken_then_mended(scenario, monkeypatch)
    assert client.run(resend_failed=True).state == "success"
    assert client.delivered() == {"a.csv": b"content"}
