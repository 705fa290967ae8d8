"""R4.1: one instance of a client's process at a time, whatever starts runs; and a run acts only on what is its own."""

from __future__ import annotations

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.table import Assignment
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.transfer_batch import TransferBatchOperator
from client_delivery.pickup.pickup import Pickup
from client_delivery.transfer.contract import Receipt
from tests.functional.runs.trouble import after
from tests.support.runs import RunResult

OTHER = RunRef("manual__2026-03-01T09:00:00+00:00", 0, "the_old_name")


def register(client, owner: RunRef, name: str) -> None:
    """What another run has in hand."""
    client.drop(name, name)
    (file,) = [file for file in Pickup(client.config, client.s3).files() if file.name == name]
    assert client.ledger.add([Assignment(file, file.etag, 0)], owner, "whoever") == [file.etag]


def deliver(client, owner: RunRef, name: str) -> None:
    """What another run has delivered, but not concluded."""
    register(client, owner, name)
    (entry,) = [entry for entry in client.ledger.open_entries() if entry.file_name == name]
    attempt = client.ledger.begin(entry, owner)
    client.ledger.delivered(attempt, Receipt("s3://elsewhere/x", 1, "crc32c:AAAAAA==", "size"))


def test_r4_1_a_run_that_finds_another_one_under_way_does_nothing_and_names_it(scenario):
    client = scenario("s3")
    client.drop("mine.csv")
    register(client, OTHER, "theirs.csv")
    client.says_under_way(OTHER)
    before = client.entries()["theirs.csv"]
    run = client.run()
    assert run.state == "failed"
    assert run.executed == ["register_files"]
    assert f"{OTHER.run_id} of the DAG the_old_name" in str(run.errors["register_files"])
    assert run.tries["register_files"] == 4, "it waits for the other by its retries"
    assert client.entries() == {"theirs.csv": before}
    assert client.delivered() == {}


def test_r4_2_what_a_run_left_that_is_over_is_taken_on_all_the_same(scenario):
    client = scenario("s3")
    client.drop("mine.csv")
    deliver(client, OTHER, "theirs.csv")
    run = client.run()
    assert run.state == "success"
    assert client.ledger.open_entries() == []
    assert client.entries()["theirs.csv"].active is False
    assert "theirs.csv" in client.mails()[-1].text


def test_r4_1_winding_up_leaves_alone_what_another_run_that_is_under_way_has_in_hand(scenario, monkeypatch):
    """A run that started beside this one after its health check: its entries are neither failed nor closed."""
    client = scenario("s3")
    client.drop("mine.csv")

    def begins_beside() -> None:
        register(client, OTHER, "going.csv")
        deliver(client, OTHER, "sent.csv")
        client.says_under_way(OTHER)

    after(monkeypatch, TransferBatchOperator, begins_beside)
    assert client.run().state == "success"
    entries = client.entries()
    assert (entries["going.csv"].status, entries["going.csv"].active) == (Status.PROCESSING, True)
    assert (entries["sent.csv"].status, entries["sent.csv"].active) == (Status.SUCCESS, True)
    assert {entry.owned_by for name, entry in entries.items() if name != "mine.csv"} == {OTHER}
    assert [mail.subject for mail in client.mails()] == [
        f"[{client.config.delivery_key}] Job started: 1 file",
        f"[{client.config.delivery_key}] Job finished: 1 delivered",
    ]
    assert entries["mine.csv"].active is False


def test_a_transfer_does_not_wait_for_what_another_run_has_taken_over(scenario, monkeypatch):
    """The run's own notes are read consistently: what they list and the run no longer has will not come back."""
    client = scenario("s3")
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")

    def takes_over() -> None:
        (entry,) = [entry for entry in client.ledger.open_entries() if entry.file_name == "a.csv"]
        client.ledger.deactivate([entry])
        assert client.ledger.resume([Assignment(entry.source, entry.identity, 0)], OTHER, "whoever") == [entry.identity]

    after(monkeypatch, RegisterFilesSensor, takes_over)
    # Without the notes it would wait, and come to nothing.
    monkeypatch.setattr("client_delivery.run.transfer._INDEX_PATIENCE", 0.0)
    run = client.run()
    assert run.tries["transfer_batch[0]"] == 1, run.errors
    assert client.delivered() == {"b.csv": b"b"}
    assert client.entries()["a.csv"].owned_by == OTHER


def test_r7_2_a_renamed_configuration_whose_run_has_the_same_id_sends_its_own_e_mails(scenario):
    """Two DAGs of one schedule have runs of the same id: the marks of the first are not those of the second."""
    client = scenario("s3")
    first_of = RunResult("scheduled__2026-03-01T12:00:00+00:00", -1)
    client.drop("a.csv", "a")
    client.clear(first_of)
    client.edit(name=f"{client.config.name}_renamed")
    client.drop("b.csv", "b")
    run = client.clear(first_of)
    assert (run.generation, run.state) == (0, "success")
    subjects = [mail.subject.partition("] ")[2] for mail in client.mails()]
    assert subjects == ["Job started: 1 file", "Job finished: 1 delivered"] * 2


def test_a_transfer_goes_by_its_own_runs_entries_where_another_dag_has_a_run_of_the_same_id(scenario, monkeypatch):
    client = scenario("s3")
    client.drop("a.csv", "a")
    run_id = "scheduled__2026-03-01T12:00:00+00:00"
    register(client, RunRef(run_id, 0, "the_old_name"), "theirs.csv")
    client.ledger.deactivate(client.ledger.open_entries())
    client.clear(RunResult(run_id, -1), file_pattern="a.csv")
    assert client.delivered() == {"a.csv": b"a"}
    theirs = client.entries()["theirs.csv"]
    assert (theirs.status, theirs.owned_by.dag_id) == (Status.PROCESSING, "the_old_name")


@pytest.mark.parametrize("status", ["processing", "delivered"])
def test_what_an_older_release_began_is_finished_by_this_one(scenario, status):
    """Its references do not name the DAG. The release comes in the middle of a run: the run goes on as the same one."""
    client = scenario("s3")
    client.drop("a.csv", "a")
    run_id = "scheduled__2026-03-01T12:00:00+00:00"
    old = RunRef(run_id)
    assert str(old) == f"{run_id}/0"
    (deliver if status == "delivered" else register)(client, old, "b.csv")
    run = client.clear(RunResult(run_id, -1))
    assert client.ledger.open_entries() == []
    assert client.entries()["a.csv"].status is Status.SUCCESS
    assert run.states["report"] == "success"
