"""What the tests of trouble have in common."""

from __future__ import annotations

from client_delivery.ledger.entry import Status
from tests.support.runs import RunResult


def after(monkeypatch, operator, action) -> None:
    """Do something right after this task."""
    execute = operator.execute

    def and_then(self, context):
        value = execute(self, context)
        action()
        return value

    monkeypatch.setattr(operator, "execute", and_then)


def failed_everywhere(client, run: RunResult, name: str, reason: str) -> None:
    """The reason is in the task's failure, the ledger, the report and the finish e-mail; the run is red."""
    assert run.state == "failed"
    entry = client.entries()[name]
    assert (entry.status, entry.active) == (Status.FAIL, False)
    assert reason in str(entry.last_error)
    assert reason in str(run.errors["report"])
    assert name in str(run.errors["report"])
    finish = client.mails()[-1]
    assert "FAILED" in finish.subject
    assert reason in " ".join(finish.text.split())
