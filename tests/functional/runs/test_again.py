"""R9.1: what was delivered is sent once more without its sender, and what is held is dismissed."""

from __future__ import annotations

import pytest

from client_delivery.ledger.board import Board
from client_delivery.ledger.entry import Status
from client_delivery.ledger.history import History
from local.stand_ins import LEDGER_TABLE


def key_of(client, name: str) -> str:
    return client.entries()[name].identity


def times_visible(client) -> list[str]:
    return [name for name, _, _ in client.became_visible()]


def standing(client):
    return Board(client.stack.client("dynamodb"), LEDGER_TABLE).of(client.config.name)


def recorded(client, name: str) -> list[str]:
    history = History(client.stack.client("dynamodb"), LEDGER_TABLE)
    return [one.status for one in history.of_file(client.config.delivery_key, name).found]


@pytest.fixture
def client_of(scenario):
    return lambda after="next_run", *, pickups="kms", **changes: scenario(
        "gcs", pickups=pickups, after_delivery=after, **changes
    )


@pytest.mark.parametrize("after", ["next_run", "keep", "delete", {"archive": "kept/"}])
def test_r9_1_a_delivered_file_is_sent_again_without_its_sender(client_of, after):
    """From where it is: the pick-up, the archive, or the version that S3 keeps under the delete marker."""
    client = client_of(after)
    client.drop("sub/a.csv", "rows")
    client.drop("b.csv", "other rows")
    client.run()
    client.run()
    waiting = client.waiting()
    client.forget()
    before = times_visible(client)
    again = client.run(send_again=[key_of(client, "sub/a.csv")])
    assert again.state == "success", again.errors
    assert client.delivered() == {"sub/a.csv": b"rows"}, "under the same name, and nothing else"
    assert times_visible(client)[len(before) :] == ["sub/a.csv"]
    client.run()
    assert client.waiting() == waiting, "what it was sent from stays what it was"
    # Once more, from the same place.
    client.forget()
    assert client.run(send_again=[key_of(client, "sub/a.csv")]).state == "success"
    assert client.delivered() == {"sub/a.csv": b"rows"}
    assert recorded(client, "sub/a.csv") == ["success"] * 3


def test_r9_1_where_it_is_sent_from_is_the_archive_if_there_is_one(client_of):
    client = client_of({"archive": "only-copy/"}, pickups="plain")
    client.drop("a.csv", "rows")
    client.run()
    client.forget()
    assert client.run(send_again=[key_of(client, "a.csv")]).state == "success"
    item = client.entries()["a.csv"].item
    assert item["origin"]["key"].startswith("only-copy/")
    assert item["filePath"] == f"s3://{client.config.pickup.bucket}/{client.config.pickup.prefix}a.csv"
    assert client.delivered() == {"a.csv": b"rows"}


def test_r9_1_a_copy_that_somebody_has_overwritten_is_not_sent(client_of):
    client = client_of({"archive": "spoilt/"}, pickups="plain")
    client.drop("a.csv", "rows")
    client.run()
    uri = client.entries()["a.csv"].item["archivedTo"]
    client.s3.put_object(Bucket=client.config.pickup.bucket, Key=uri.split("/", 3)[3], Body=b"oops")
    assert "no longer exist" in str(client.run(send_again=[key_of(client, "a.csv")]).errors["register_files"])


def test_r9_1_what_waits_in_the_pickup_is_not_sent_along(client_of):
    client = client_of()
    client.drop("a.csv", "rows")
    client.run()
    client.drop("new.csv", "new")
    client.run(send_again=[key_of(client, "a.csv")])
    assert "new.csv" not in client.entries()
    client.run()
    assert client.entries()["new.csv"].status is Status.SUCCESS
    assert "a.csv" not in client.waiting()


def test_r9_1_bytes_that_are_nowhere_are_said_and_waited_for(client_of):
    client = client_of("delete", pickups="plain")
    client.drop("a.csv", "rows")
    client.drop("b.csv", "more rows")
    client.run()
    client.forget()
    none = client.run(send_again=[key_of(client, "a.csv")])
    assert "The bytes of 1 file" in str(none.errors["register_files"])
    assert '"a.csv"' in str(none.errors["register_files"])
    assert standing(client).wanted == ("a.csv",)
    # A re-drop of it is served, by any run, once; of the other file it is a mistake as ever (R5.2).
    client.drop("a.csv", "rows")
    client.drop("b.csv", "more rows")
    assert client.run().state == "success"
    assert client.delivered() == {"a.csv": b"rows"}
    assert client.waiting() == []
    assert standing(client).wanted == ()
    client.drop("a.csv", "rows")
    before = times_visible(client)
    client.run()
    assert times_visible(client) == before


def test_r9_1_a_redrop_under_another_name_arrives_under_the_name_that_was_asked_for(client_of):
    client = client_of("delete", pickups="plain")
    client.drop("a.csv", "rows")
    client.run()
    client.forget()
    client.run(send_again=[key_of(client, "a.csv")])
    client.drop("a (1).csv", "rows")
    client.run()
    assert client.delivered() == {"a.csv": b"rows"}
    client.run()
    assert client.waiting() == []


def test_r9_1_a_run_that_finds_some_sends_those_and_is_red_for_the_rest(client_of):
    client = client_of("delete", pickups="plain")
    client.drop("gone.csv", "gone")
    client.run()
    client.edit(after_delivery="keep")
    client.drop("there.csv", "there")
    client.run()
    client.forget()
    run = client.run(send_again=[key_of(client, "gone.csv"), key_of(client, "there.csv")])
    assert client.delivered() == {"there.csv": b"there"}
    assert run.state == "failed"
    assert '"gone.csv"' in str(run.errors["report"])
    assert "there.csv" not in str(run.errors["report"])


def test_r9_1_clearing_such_a_run_sends_nothing_twice(client_of):
    client = client_of()
    client.drop("a.csv", "rows")
    client.run()
    run = client.run(send_again=[key_of(client, "a.csv")])
    before = times_visible(client)
    client.clear(run, send_again=[key_of(client, "a.csv")])
    assert times_visible(client) == before


def held(client, *names: str):
    client.gcs_faults({"call": r"^(json|xml)\.", "status": 403, "code": "forbidden", "times": 0})
    for name in names:
        client.drop(name, name)
    run = client.run()
    client.gcs_faults()
    return run


def test_r5_9_a_held_file_is_dismissed_and_stays_unsent(client_of):
    client = client_of()
    failed = held(client, "a.csv", "b.csv")
    assert "a.csv" in str(client.run().errors["register_files"])
    run = client.run(dismiss=[key_of(client, "a.csv"), key_of(client, "b.csv")], resend_failed=True)
    assert run.state == "success", "nothing is held any more"
    assert client.run().executed == ["register_files"]
    assert standing(client).held == 0
    assert client.delivered() == {}
    assert client.waiting() == ["a.csv", "b.csv"], "who may delete it decides on it"
    assert recorded(client, "a.csv") == ["fail", "dismissed"]
    # Neither "all that failed" nor a clear for another file brings it back; asking for it does, and so does a new drop.
    client.run(resend_failed=True)
    client.clear(failed)
    assert client.delivered() == {}
    client.run(send_again=[key_of(client, "a.csv")])
    client.drop("b.csv", "b.csv")
    client.run()
    assert client.delivered() == {"a.csv": b"a.csv", "b.csv": b"b.csv"}


def test_r9_1_a_held_file_is_sent_by_name_and_no_other(client_of):
    client = client_of()
    client.drop("march.csv", "rows")
    client.run()
    held(client, "a.csv", "b.csv")
    assert client.run(send_again=[key_of(client, "march.csv")]).state == "success"
    run = client.run(send_again=[key_of(client, "a.csv")])
    assert run.state == "success", run.errors
    assert client.delivered() == {"march.csv": b"rows", "a.csv": b"a.csv"}


def test_r5_9_who_waits_for_a_redrop_may_give_up(client_of):
    client = client_of("delete", pickups="plain")
    client.drop("a.csv", "rows")
    client.run()
    client.run(send_again=[key_of(client, "a.csv")])
    client.run(dismiss=[key_of(client, "a.csv")])
    assert standing(client).wanted == ()
    client.forget()
    client.drop("a.csv", "rows")
    client.run()
    assert (client.delivered(), client.waiting()) == ({}, [])


def test_r9_1_what_is_no_file_is_said_and_nothing_is_sent(client_of):
    """The parameters can be written by hand."""
    client = client_of(expected_every_days=31)
    client.drop("a.csv", "rows")
    client.run()
    for key in ("mark#last-delivery", "no-such-entry"):
        run = client.run(send_again=[key])
        assert "knows none of the files" in str(run.errors["register_files"])
    assert client.run(dismiss=["mark#last-delivery", "no-such-entry"]).state == "success"
