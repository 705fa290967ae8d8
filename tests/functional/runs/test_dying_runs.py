"""Runs that die between two tasks, or with one: the next run takes on what they left (R4.2, R4.6).

Dying in the middle of a task, at any call, is the business of tests/faults.
"""

from __future__ import annotations

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.operators.notify import NotifyFinishedOperator
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.report import ReportOperator
from client_delivery.operators.transfer_batch import TransferBatchOperator


class ProcessDied(BaseException):
    """What a killed process looks like from outside: nothing of it runs on."""


def die_in(monkeypatch, operator, *, before: bool = True) -> None:
    """The process dies when this task starts (or right after it has done its work)."""
    execute = operator.execute

    def dies(self, context):
        if not before:
            execute(self, context)
        raise ProcessDied

    monkeypatch.setattr(operator, "execute", dies)


@pytest.mark.parametrize(
    ("operator", "before"),
    [
        (RegisterFilesSensor, True),
        (RegisterFilesSensor, False),
        (TransferBatchOperator, True),
        (TransferBatchOperator, False),
        (NotifyFinishedOperator, True),
        (NotifyFinishedOperator, False),
        (ReportOperator, True),
        (ReportOperator, False),
    ],
)
@pytest.mark.parametrize("done_file", [True, False])
def test_r4_2_r4_6_a_run_that_dies_is_resumed_by_the_next_and_told_once(
    scenario, monkeypatch, operator, before, done_file
):
    client = scenario("gcs", trigger_on_done_file=done_file)
    for name in ("a.csv", "b.csv"):
        client.drop(name, name)
    if done_file:
        client.drop_done()
    with monkeypatch.context() as death:
        die_in(death, operator, before=before)
        with pytest.raises(ProcessDied):
            client.run()
    assert client.run().state == "success"
    client.run()
    assert client.delivered() == {"a.csv": b"a.csv", "b.csv": b"b.csv"}
    generations = [e for e in client.stack.gcs("events") if e["name"].startswith(client.config.destination.prefix)]
    assert len(generations) == 2, "each file became visible once"
    entries = client.entries().values()
    assert {(entry.status, entry.active, entry.open) for entry in entries} == {(Status.SUCCESS, False, False)}
    assert [mail.subject.split("] ")[1] for mail in client.mails()] == [
        "Job started: 2 files",
        "Job finished: 2 delivered",
    ]


def test_r4_2_what_was_left_active_is_logged_as_an_error(scenario, monkeypatch, caplog):
    client = scenario()
    client.drop("a.csv")
    with monkeypatch.context() as death:
        die_in(death, TransferBatchOperator)
        with pytest.raises(ProcessDied):
            client.run()
    caplog.clear()
    client.run()
    left = [record for record in caplog.records if "entry_left_active" in record.getMessage()]
    assert [record.levelname for record in left] == ["ERROR"]
    assert "a.csv" in left[0].getMessage()
