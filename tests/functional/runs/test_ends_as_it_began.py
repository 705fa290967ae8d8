"""R4.7: a run that has files in hand ends as it began, whatever happens to the client's YAML file meanwhile."""

from __future__ import annotations

import pytest

from client_delivery.ledger.changes import Changes
from client_delivery.ledger.configurations import Configurations
from client_delivery.ledger.entry import Status
from client_delivery.operators.notify import NotifyFinishedOperator
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.transfer_batch import TransferBatchOperator
from local.stand_ins import LEDGER_TABLE
from tests.functional.runs.trouble import after
from tests.support.runs import RunResult


def under_way(client) -> list[str]:
    found = Configurations(client.stack.client("dynamodb"), LEDGER_TABLE).under_way()
    return [begun.name for begun in found if begun.name == client.config.name]


@pytest.mark.parametrize("what", ["breaks", "file_removed"])
@pytest.mark.parametrize("when", [RegisterFilesSensor, TransferBatchOperator, NotifyFinishedOperator])
def test_r4_7_a_slip_or_a_removal_does_not_touch_a_run_under_way(scenario, monkeypatch, what, when):
    client = scenario("s3", trigger_on_done_file=True)
    client.drop("a.csv", "a")
    client.drop_done()
    seen = []

    def happens() -> None:
        seen.append(under_way(client))
        getattr(client, what)()

    after(monkeypatch, when, happens)
    run = client.run()
    assert seen == [[client.config.name]], "whoever builds the DAGs finds it"
    assert (run.state, run.errors) == ("success", {})
    assert client.delivered() == {"a.csv": b"a"}
    assert client.ledger.open_entries() == []
    subjects = [mail.subject.partition("] ")[2] for mail in client.mails()]
    assert subjects == ["Job started: 1 file", "Job finished: 1 delivered"]
    assert under_way(client) == [], "and then it is gone"


def test_r3_8_what_changed_in_a_configuration_is_kept_from_the_first_run_that_went_by_it(scenario):
    client = scenario("s3")
    kept = Changes(client.stack.client("dynamodb"), LEDGER_TABLE)

    def told() -> list[list[tuple[str, str | None, str | None]]]:
        changes, _ = kept.of(client.config.name)
        return [[(one.field, one.before, one.after) for one in change.differences] for change in changes]

    client.run()
    assert told() == [], "an idle run keeps nothing"
    for name in ("a.csv", "b.csv"):
        client.drop(name, name)
        client.run()
    assert told() == [[]], "from the first on; the second went by the same"
    client.edit(after_delivery="keep", contacts=["new@example.org"])
    client.run()
    assert told() == [[]]
    client.drop("c.csv", "c")
    run = client.run()
    fields = [field for field, _, _ in told()[0]]
    assert fields == ["after_delivery", "contacts"]
    assert ("after_delivery", None, '"keep"') in told()[0]
    assert f"/{run.run_id}/" in kept.of(client.config.name)[0][0].run


def test_r4_7_an_edit_holds_from_the_next_run_on(scenario, monkeypatch):
    """Half a set at one place and half at another would be worse than a set at the old place."""
    client = scenario("s3")
    client.drop("a.csv", "a")
    there = {**client.config.destination.model_dump(), "prefix": f"{client.config.name}-moved/"}
    with monkeypatch.context() as patch:
        after(patch, RegisterFilesSensor, lambda: client.edit_under_way(destination=there, send_notifications=False))
        assert client.run().state == "success"
    assert client.delivered() == {"a.csv": b"a"}
    assert f"{client.config.name}/" in client.mails()[-1].text, "the finish e-mail goes out, and names the old place"
    client.edit(destination=there)
    client.drop("b.csv", "b")
    client.run()
    assert client.delivered() == {"b.csv": b"b"}


def test_r4_7_nor_do_the_switches_of_the_form_change_with_the_yaml(scenario, monkeypatch):
    client = scenario("s3", bypass_file_checks=True)
    client.drop("a.csv", "a")
    after(monkeypatch, RegisterFilesSensor, lambda: client.edit_under_way(bypass_file_checks=False))
    client.run()
    assert client.waiting() == [], "R5.6: it began with the checks bypassed, so it removes what it delivered"


def test_clearing_the_transfers_of_a_run_whose_file_is_wrong_sends_nothing_and_says_why(scenario, monkeypatch):
    client = scenario("s3")
    client.drop("a.csv", "a")
    client.aws_faults({"call": "s3.(CopyObject|PutObject)", "status": 403, "code": "AccessDenied", "times": 0})
    run = client.run()
    client.aws_faults()
    assert run.state == "failed"
    client.breaks()
    cleared = client.clear_transfers(run)
    assert cleared.state == "failed"
    assert "contacts: found nothing" in str(cleared.errors["transfer_batch[0]"])
    assert client.delivered() == {}
    entry = client.entries()["a.csv"]
    assert (entry.status, entry.active) == (Status.FAIL, False), "it is held, and can be asked for again"


def test_clearing_the_transfers_after_a_correction_goes_by_the_correction(scenario):
    client = scenario("s3")
    client.drop("a.csv", "a")
    right = client.config.destination.model_dump()
    client.edit(destination={**right, "bucket": "no-such-bucket"})
    run = client.run()
    assert run.state == "failed"
    client.edit(destination=right)
    assert client.clear_transfers(run).state == "success"
    assert client.delivered() == {"a.csv": b"a"}


def test_a_run_that_is_idle_or_only_removes_leaves_nothing_under_way(scenario):
    client = scenario("s3")
    client.run()
    assert under_way(client) == []
    client.drop("a.csv", "a")
    client.run()
    client.run()  # removes what was delivered
    assert (client.waiting(), under_way(client)) == ([], [])


def test_r2_6_a_run_of_a_wrong_file_does_not_turn_into_a_delivery_when_it_is_corrected(scenario):
    client = scenario("s3")
    client.drop("a.csv", "a")
    run = RunResult("scheduled__2026-03-01T12:00:00+00:00", 0, of_wrong_file={"configuration_error": "removed"})
    client.execute("register_files", run)
    assert run.states == {"register_files": "failed"}
    assert run.tries == {"register_files": 1}
    assert "began while the file" in str(run.errors["register_files"])
    assert client.clear(run).state == "success", "whoever clears it asks for it"
    assert client.delivered() == {"a.csv": b"a"}


def test_r2_6_a_new_run_of_a_wrong_file_is_red_and_a_run_under_way_is_not(scenario):
    client = scenario("s3")
    client.breaks()
    new = RunResult("scheduled__2026-03-01T12:15:00+00:00", 0)
    client.execute("configuration_error", new)
    assert new.states == {"configuration_error": "failed"}
    assert "contacts: found nothing" in str(new.errors["configuration_error"])
    for first in ("register_files", "health_check"):  # and one that an older release began
        begun = RunResult("scheduled__2026-03-01T12:00:00+00:00", 0, of_wrong_file={first: "success"})
        client.execute("configuration_error", begun)
        assert begun.states == {"configuration_error": "skipped"}


def test_r4_7_a_removed_clients_run_that_was_ended_by_hand_is_set_inactive_by_a_trigger(scenario, monkeypatch):
    client = scenario("s3")
    client.drop("a.csv", "a")

    class Ended(BaseException):
        pass

    def ended(*_):
        raise Ended

    with monkeypatch.context() as patch:
        patch.setattr(TransferBatchOperator, "execute", ended)
        with pytest.raises(Ended):
            client.run()
    assert client.entries()["a.csv"].active
    client.file_removed()
    run = client.execute("configuration_error", RunResult("manual__2026-03-02T12:00:00+00:00", 0))
    assert "set inactive: 1." in str(run.errors["configuration_error"])
    assert not client.entries()["a.csv"].active
    assert under_way(client) == []
