"""Runs that only answer a question (R9.1): they deliver nothing, register nothing, remove nothing, and mail nobody."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from client_delivery.ledger.board import Board
from client_delivery.probe import plan_command
from local.stand_ins import LEDGER_TABLE


def board_of(client):
    return Board(client.stack.client("dynamodb"), LEDGER_TABLE).of(client.config.name)


@pytest.mark.parametrize("kind", ["s3", "gcs", "sftp"])
def test_r9_1_a_test_of_the_destination_delivers_nothing(scenario, kind):
    client = scenario(kind)
    client.drop("a.csv")
    before = client.elsewhere()
    run = client.run(only_test_destination=True)
    assert run.state == "success", run.errors
    assert run.executed == ["register_files", "test_destination"]
    assert "Files can be delivered." in run.pushed["table"]
    assert (client.waiting(), client.entries(), client.delivered(), client.mails()) == (["a.csv"], {}, {}, [])
    assert client.elsewhere() == before
    assert (board_of(client).tested["good"], board_of(client).tested["verdict"]) == (True, "Files can be delivered.")
    assert client.run().state == "success"
    assert list(client.delivered()) == ["a.csv"]


def test_a_destination_that_is_not_good_is_red_and_raises_no_alarm(scenario):
    client = scenario("gcs")
    client.drop("a.csv")
    client.gcs_faults({"call": "token", "status": 400, "code": "invalid_grant", "times": 0})
    run = client.run(only_test_destination=True)
    client.gcs_faults()
    assert run.state == "failed"
    assert run.tries["test_destination"] == 1
    assert str(run.errors["test_destination"]).startswith("Nothing can be delivered like this: Credential.")
    assert (client.waiting(), client.entries(), client.mails()) == (["a.csv"], {}, [])
    assert board_of(client).tested["good"] is False
    assert board_of(client).trouble is None


def test_a_test_leaves_alone_what_a_dead_run_has_in_hand(scenario):
    client = scenario("s3")
    client.drop("a.csv")
    client._runs.only("register_files")
    before = client.entries()
    assert before["a.csv"].active
    assert client.run(only_test_destination=True).state == "success"
    assert client.entries() == before


def everything_in_the_ledger(client):
    """Every item of the table, whatever it is."""
    pages = client.stack.client("dynamodb").get_paginator("scan").paginate(TableName=LEDGER_TABLE)
    return sorted(str(sorted(item.items())) for page in pages for item in page["Items"])


def planned(run):
    """What the CSV says: fates and reasons by name."""
    rows = list(csv.DictReader(io.StringIO(run.pushed["csv"])))
    return {row["File"]: (row["What happens"], row["Why"]) for row in rows}


def test_r9_1_a_plan_says_of_each_file_what_happens_and_why_and_changes_nothing(scenario):
    client = scenario("gcs")
    client.edit(pickup={**client.config.pickup.model_dump(), "exclude": ["*.tmp"]})
    client.drop("sent.csv", "sent")
    client.run()
    client.drop("held.csv", "held")
    client.gcs_faults({"call": "PutObject", "status": 400, "code": "InvalidArgument", "times": 0})
    client.run()
    client.gcs_faults()
    client.drop("sent.csv", "sent")
    client.drop("same.csv", "sent")
    client.drop("new.csv", "new")
    client.drop("twin.csv", "new")
    client.drop("x.tmp", "tmp")
    client.drop("bad\x07name.csv", "bad")
    before, mails = everything_in_the_ledger(client), len(client.mails())
    waiting, there = client.waiting(), client.delivered()

    run = client.run(only_plan=True)

    assert run.state == "success", run.errors
    assert run.executed == ["register_files", "say_plan"]
    fates = planned(run)
    assert fates["new.csv"] == ("send", "new: this content was never sent to this client")
    assert fates["twin.csv"] == ("removed", "the same content as new.csv, which is sent")
    assert fates["sent.csv"][0] == "removed"
    assert fates["sent.csv"][1].startswith("sent before as sent.csv, on ")
    assert fates["same.csv"][0] == "removed"
    assert fates["same.csv"][1].startswith("the same content was sent before as sent.csv, on ")
    assert fates["held.csv"][0] == "held"
    assert "InvalidArgument" in fates["held.csv"][1]
    assert fates["x.tmp"] == ("left", "the configuration's include and exclude patterns leave it out")
    assert fates[r"bad\x07name.csv"] == ("held", "its name is refused: the destination cannot have a file of that name")
    assert run.returned["say_plan"]["send"] == 1
    assert everything_in_the_ledger(client) == before
    assert (client.waiting(), client.delivered(), len(client.mails())) == (waiting, there, mails)

    assert client.run(send_notifications=False).state == "failed"  # for the name that is refused
    assert {*client.delivered()} - {*there} == {name for name, (fate, _) in fates.items() if fate == "send"}
    assert {*waiting} - {*client.waiting()} <= {
        name for name, (fate, _) in fates.items() if fate in ("removed", "send")
    }


def test_a_plan_goes_by_what_else_is_chosen_in_the_form(scenario):
    client = scenario("s3", trigger_on_done_file=True)
    client.drop("a.csv", "a")
    client.drop("b.txt", "b")
    waits = f"waits for the done file {client.config.done_file_key}"
    assert planned(client.run(only_plan=True)) == {"a.csv": ("left", waits), "b.txt": ("left", waits)}
    chosen = planned(client.run(only_plan=True, ignore_done_file=True, file_pattern="*.csv"))
    assert chosen["a.csv"][0] == "send"
    assert chosen["b.txt"] == ("left", "the form's pattern leaves it out")
    client.drop_done()
    assert {fate for fate, _ in planned(client.run(only_plan=True)).values()} == {"send"}
    assert client.entries() == {}


def test_a_plan_knows_the_window(scenario):
    """Open for one minute, twelve hours from now."""
    opens = datetime.now(UTC) + timedelta(hours=12)
    window = {"from": f"{opens:%H:%M}", "to": f"{opens + timedelta(minutes=1):%H:%M}"}
    client = scenario("s3", window=window)
    client.drop("a.csv", "a")
    fate, why = planned(client.run(only_plan=True))["a.csv"]
    assert fate == "left"
    assert why.startswith(f"the window is closed until {opens:%Y-%m-%d %H:%M}:00+00:00; then send: new")
    assert planned(client.run(only_plan=True, ignore_window=True))["a.csv"][0] == "send"


def test_a_plan_knows_what_an_earlier_delivery_key_was_sent_and_takes_nothing_over(scenario):
    client = scenario("s3")
    client.drop("a.csv")
    client.run()
    client.edit(feed="claims")
    client.drop("a.csv")
    before = everything_in_the_ledger(client)
    fates = planned(client.run(only_plan=True))
    assert fates["a.csv"][0] == "removed"
    assert everything_in_the_ledger(client) == before


def test_r9_1_both_questions_are_answered_at_once(scenario):
    client = scenario("s3")
    run = client.run(only_plan=True, only_test_destination=True)
    assert run.executed == ["register_files", "test_destination", "say_plan"]
    assert run.returned["say_plan"]["summary"] == "No file waits: nothing would happen."


def test_make_plan_says_the_same(scenario, tmp_path, capsys):
    client = scenario("s3")
    client.drop("a.csv")
    (tmp_path / f"{client.config.name}.yaml").write_text(
        yaml.safe_dump(client.config.model_dump(mode="json", exclude_defaults=True))
    )
    assert (
        plan_command.main([client.config.name, "--directory", str(tmp_path), "--csv", str(tmp_path / "plan.csv")]) == 0
    )
    assert "1 file waits: 1 send." in capsys.readouterr().out
    assert "a.csv" in (tmp_path / "plan.csv").read_text(encoding="utf-8-sig")
    assert client.entries() == {}
