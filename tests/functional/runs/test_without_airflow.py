"""A run is the functions in ``run/``, one after the other: what the operators do is only to call them."""

from __future__ import annotations

import threading

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef
from client_delivery.run.closing import deactivate, failures, settle
from client_delivery.run.context import Run
from client_delivery.run.detection import FormRefused, check_form, detect, end_idle, goes_on
from client_delivery.run.health import take_stock
from client_delivery.run.registration import register
from client_delivery.run.transfer import BatchTransfer, FailedForGood, NotFinished

FORM = {
    "bypass_file_checks": False,
    "resend_failed": False,
    "file_pattern": None,
    "ignore_done_file": False,
    "send_notifications": False,
    "wait_minutes": 0,
}


def run_of(client, name: str = "r1", generation: int = 0, **form) -> Run:
    return Run(client.config, RunRef(name, generation, client.config.name), {**FORM, **form})


def no_mail():
    raise AssertionError("no e-mail is due")


def delivered_by(run: Run) -> str | None:
    """A whole run, each batch with as many tries as a task has; returns what makes it red."""
    take_stock(run)
    assert goes_on(run, detect(run))
    for batch in register(run).batches:
        for _ in range(4):
            transfer = BatchTransfer(run, batch)
            try:
                transfer.send(transfer.take_on(), threading.Event())
            except NotFinished:
                continue
            except FailedForGood:
                pass
            break
    red = failures(run, deactivate(run, settle(run)))
    run.end()
    return red


def test_a_run_is_its_functions(scenario):
    client = scenario("s3")
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")
    assert delivered_by(run_of(client)) is None
    assert client.delivered() == {"a.csv": b"a", "b.csv": b"b"}
    assert {entry.status for entry in client.entries().values()} == {Status.SUCCESS}
    again = run_of(client, "r2")
    assert take_stock(again) == 0
    assert register(again).batches == [], "what was sent is only removed"
    assert client.waiting() == []


def test_a_failure_is_told_and_cleared(scenario):
    client = scenario("s3")
    client.drop("a.csv", "a")
    right = client.config.destination.model_dump()
    client.edit(destination={**right, "bucket": "no-such-bucket"})
    red = delivered_by(run_of(client))
    assert red is not None
    assert '"a.csv": S3 refuses to copy' in red
    idle = run_of(client, "r2")
    take_stock(idle)
    found = detect(idle)
    assert not goes_on(idle, found)
    assert "failed earlier" in str(end_idle(idle, found, lambda: NoMail(idle)).held)
    client.edit(destination=right)
    assert delivered_by(run_of(client, "r1", generation=1)) is None
    assert client.delivered() == {"a.csv": b"a"}


class NoMail:
    """A reminder that is not due: the failure is younger than a day."""

    def __init__(self, run: Run) -> None:
        self.run = run


def test_an_idle_run_needs_nobody_and_a_form_that_finds_nothing_is_told(scenario):
    client = scenario("s3")
    idle = run_of(client)
    assert end_idle(idle, detect(idle), no_mail).held is None
    asked = run_of(client, file_pattern="x*.csv")
    check_form(asked)
    with pytest.raises(FormRefused, match="no file that could be sent"):
        end_idle(asked, detect(asked), no_mail)
    with pytest.raises(FormRefused, match="found '/x', expected"):
        check_form(run_of(client, file_pattern="/x"))
