"""R12: files arrive under the names that `deliver_as` says, each under its own, and keep them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.ledger.history import History
from client_delivery.run.naming import MARK
from local.stand_ins import LEDGER_TABLE

TEMPLATE = "{client}_{stem}_{date:%Y%m%d}_{sequence:03}{ext}"
REFUSED = {"call": r"(Upload|PutObject)", "status": 403, "code": "forbidden", "times": 0}


def today(client) -> str:
    return f"{datetime.now(ZoneInfo(client.config.timezone)):%Y%m%d}"


def named(client, stem: str, number: int) -> str:
    return f"{client.config.client_h_number}_{stem}_{today(client)}_{number:03}.csv"


def names(client) -> dict[str, str]:
    """What the ledger says each file is called at the destination."""
    return {name: entry.item.get("deliveredName") for name, entry in client.entries().items()}


@pytest.mark.parametrize("kind", ["s3", "gcs", "sftp"])
def test_files_arrive_under_the_names_of_the_template(scenario, kind):
    client = scenario(kind, deliver_as=TEMPLATE, timezone="Pacific/Kiritimati")
    client.drop("in/members.csv", "members")
    client.drop("claims.csv", "claims")
    run = client.run()
    assert run.state == "success", run.errors
    delivered = client.delivered()
    assert sorted(delivered) == sorted(names(client).values())
    assert {name.rpartition("_")[2] for name in delivered} == {"001.csv", "002.csv"}
    arrived = names(client)["in/members.csv"]
    assert delivered[arrived] == b"members"
    assert arrived.startswith(f"{client.config.client_h_number}_members_{today(client)}_00")
    assert client.entries()["in/members.csv"].delivered_to.endswith(f"/{arrived}")
    started, finished = client.mails()
    for mail in (started, finished):
        assert f"arrives as {arrived}" in mail.text
        assert "in/members.csv" in mail.text
    [recorded] = History(client.stack.client("dynamodb"), LEDGER_TABLE).anywhere(arrived)
    assert (recorded.file_name, recorded.delivered_name) == ("in/members.csv", arrived)
    client.run()
    assert client.waiting() == [], "the source is known by its own name"
    client.drop("third.csv", "third")
    assert client.run().state == "success"
    assert named(client, "third", 3) in client.delivered(), "the sequence goes on"


def test_a_retry_a_clear_and_a_resend_keep_the_name(scenario):
    client = scenario("gcs", deliver_as=TEMPLATE)
    client.drop("a.csv", "a")
    client.gcs_faults(REFUSED)
    run = client.run()
    assert run.state == "failed"
    client.gcs_faults()
    name = named(client, "a", 1)
    assert names(client) == {"a.csv": name}
    client.drop("b.csv", "b")
    assert client.run().state == "success"
    client.clear(run)
    assert client.delivered() == {name: b"a", named(client, "b", 2): b"b"}
    client.forget()
    client.edit(deliver_as="{name}")
    assert client.run(send_again=[client.entries()["a.csv"].identity]).state == "success"
    assert client.delivered() == {name: b"a"}, "the recipient knows it by this name"


def test_what_failed_gets_another_name_when_people_change_the_template(scenario):
    client = scenario("gcs", deliver_as="wrong {name}")
    client.drop("a.csv", "a")
    client.gcs_faults(REFUSED)
    assert client.run().state == "failed"
    client.gcs_faults()
    client.edit(deliver_as="right {name}")
    assert client.run(resend_failed=True).state == "success"
    assert client.delivered() == {"right a.csv": b"a"}


def test_two_files_that_would_get_one_name_are_both_held(scenario):
    client = scenario("s3", deliver_as="{client}_{date}{ext}")
    for name in ("a.csv", "b.csv", "c.txt"):
        client.drop(name, name)
    run = client.run()
    assert run.state == "failed"
    same = f"{client.config.client_h_number}_{today(client)}.csv"
    assert list(client.delivered()) == [same.replace(".csv", ".txt")]
    for name in ("a.csv", "b.csv"):
        entry = client.entries()[name]
        assert (entry.status, entry.send_attempts) == (Status.FAIL, 0)
        assert entry.last_error.startswith(f'{MARK}deliver_as makes the same name, "{same}", of several files: "a.csv"')
    assert "a.csv" not in client.mails()[0].text
    client.clear(run)
    assert len(client.delivered()) == 1, "a clear changes nothing about it"
    client.withdraw("b.csv")
    assert client.run(resend_failed=True).state == "success"
    assert client.delivered()[same] == b"a.csv"


def test_a_name_that_cannot_be_made_is_held_until_the_configuration_or_the_file_is_right(scenario):
    client = scenario("s3", deliver_as="{kind}.csv", name_pattern=r"(?P<kind>[a-z]+)_[0-9]+\.csv")
    client.drop("claims.csv", "claims")
    client.drop("members_1.csv", "members")
    run = client.run()
    assert run.state == "failed"
    assert client.delivered() == {"members.csv": b"members"}
    assert "is not as name_pattern" in client.entries()["claims.csv"].last_error
    client.withdraw("claims.csv")
    client.drop("claims_2.csv", "claims")  # as a person mends it
    assert client.run().state == "success"
    assert client.delivered() == {"members.csv": b"members", "claims.csv": b"claims"}


def test_a_name_that_the_destination_cannot_have_is_held(scenario):
    client = scenario("sftp", deliver_as=".ssh/{name}")
    client.drop("authorized_keys", "key")
    assert client.run().state == "failed"
    assert client.delivered() == {}
    assert "could change how the account on the server works" in client.entries()["authorized_keys"].last_error


def test_the_name_of_an_earlier_different_file_is_not_taken_unless_a_person_says_so(scenario):
    client = scenario("s3", deliver_as="latest{ext}")
    client.drop("march.csv", "march")
    assert client.run().state == "success"
    client.drop("april.csv", "april")
    assert client.run().state == "failed"
    assert client.delivered() == {"latest.csv": b"march"}
    assert 'which the file "march.csv" has got' in client.entries()["april.csv"].last_error
    assert client.run(resend_failed=True).state == "failed"
    assert client.run(resend_failed=True, reason="April replaces March").state == "success"
    assert client.delivered() == {"latest.csv": b"april"}
    client.drop("april.csv", "april, corrected")
    assert client.run().state == "success"
    assert client.delivered() == {"latest.csv": b"april, corrected"}, "a file of the same name replaces the older one"


def test_under_bypass_the_same_content_put_there_anew_is_another_delivery(scenario):
    client = scenario("s3", deliver_as=TEMPLATE, bypass_file_checks=True)
    for number in (1, 2):
        client.drop("empty.csv", "")
        assert client.run().state == "success"
        assert named(client, "empty", number) in client.delivered()


def test_a_plan_says_the_names_and_takes_none(scenario):
    client = scenario("s3", deliver_as="{client}_{sequence}{ext}")
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")
    for _ in range(2):
        told = client.run(only_plan=True).pushed["csv"]
        assert [line.rpartition(",")[2] for line in told.splitlines()[1:]] == [
            f"{client.config.client_h_number}_{number}.csv" for number in (1, 2)
        ]
    assert client.run().state == "success"
    assert sorted(client.delivered()) == [f"{client.config.client_h_number}_{number}.csv" for number in (1, 2)]


def test_another_feed_does_not_begin_the_sequence_anew(scenario):
    client = scenario("s3", deliver_as="{sequence}{ext}")
    client.drop("a.csv", "a")
    assert client.run().state == "success"
    client.edit(feed="claims")
    client.drop("b.csv", "b")
    assert client.run().state == "success"
    assert client.delivered() == {"1.csv": b"a", "2.csv": b"b"}


BY_DONE_FILE = {"trigger_on_done_file": True, "deliver_as": "{done_file}/{name}"}


def test_a_file_has_what_its_done_file_says_in_its_name_and_keeps_it_when_the_done_file_is_gone(scenario):
    client = scenario("gcs", **BY_DONE_FILE)
    client.drop("a.csv", "a")
    client.drop_done(b"BATCH-1\r\nfiles=1\n")
    client.gcs_faults(REFUSED)
    run = client.run()
    assert run.state == "failed"
    client.gcs_faults()
    assert client.waiting() == ["a.csv"], "the done file is gone"
    client.edit(deliver_as="{done_file}-{name}")  # a new template is a new name, by the same done file
    client.drop("b.csv", "b")
    client.drop_done(b"BATCH-2")
    assert client.run(resend_failed=True).state == "success"
    assert client.delivered() == {"BATCH-1-a.csv": b"a", "BATCH-2-b.csv": b"b"}


def test_what_a_guard_holds_goes_by_the_done_file_with_which_it_came(scenario):
    client = scenario("s3", guards={"not_empty": True}, **BY_DONE_FILE)
    client.drop("a.csv", "")
    client.drop_done(b"BATCH-1")
    assert client.run().state == "failed"
    client.drop("b.csv", "b")
    client.drop_done(b"BATCH-2")
    client.run()
    assert client.run(resend_failed=True, reason="empty this month").state == "success"
    assert client.delivered() == {"BATCH-1/a.csv": b"", "BATCH-2/b.csv": b"b"}


@pytest.mark.parametrize("said", [b"", b"../other/", b"\xff\xfe"])
def test_a_done_file_that_says_nothing_for_a_name_holds_its_files_until_one_does(scenario, said):
    client = scenario("s3", **BY_DONE_FILE)
    client.drop("a.csv", "a")
    client.drop_done(said)
    assert client.run().state == "failed"
    assert client.delivered() == {}
    error = client.entries()["a.csv"].last_error
    assert error.startswith(f"{MARK}the first line of the done file")
    assert "Put a done file with the right first line into the pick-up" in error
    assert client.run(resend_failed=True).state == "failed"
    client.drop_done(b"BATCH-1")
    assert client.run(resend_failed=True).state == "success"
    assert client.delivered() == {"BATCH-1/a.csv": b"a"}


def test_without_a_done_file_a_name_that_asks_for_one_is_not_made_up(scenario):
    client = scenario("s3", **BY_DONE_FILE)
    client.drop("a.csv", "a")
    assert client.run(ignore_done_file=True).state == "failed"
    assert "came without a done file" in client.entries()["a.csv"].last_error
    assert client.delivered() == {}


def test_a_plan_reads_the_done_file_and_notes_nothing(scenario):
    client = scenario("s3", **BY_DONE_FILE)
    client.drop("a.csv", "a")
    client.drop_done(b"PLANNED")
    assert "PLANNED/a.csv" in client.run(only_plan=True).pushed["csv"]
    client.drop_done(b"BATCH-1")
    assert client.run().state == "success"
    assert client.delivered() == {"BATCH-1/a.csv": b"a"}
