"""Guards (R5.10): what is not as it should be is held with its reason, until a person says that it is right."""

from __future__ import annotations

import hashlib
import time

import pytest

from client_delivery.pickup.guards import MARK


def held(client):
    """Why files are held, by name."""
    return {name: entry.last_error for name, entry in client.entries().items() if entry.guarded}


def test_an_empty_file_is_held_from_the_beginning_and_nothing_of_it_goes(scenario):
    client = scenario("gcs", guards={"not_empty": True})
    client.drop("members.csv", "")
    client.drop("claims.csv", "claims")
    run = client.run()
    assert run.state == "failed"
    assert list(client.delivered()) == ["claims.csv"]
    assert held(client)["members.csv"].startswith(f"{MARK}the file is empty")
    entry = client.entries()["members.csv"]
    assert (entry.send_attempts, entry.fencing_token, entry.item.get("attemptStartedAt")) == (0, 0, None)
    assert "the file is empty" in str(run.errors["report"])
    started, finished = client.mails()
    assert "members.csv" not in started.text
    assert "the file is empty" in finished.text
    assert "members.csv" in client.waiting()


def test_it_stays_held_whatever_is_cleared_and_goes_with_a_reason_only(scenario):
    client = scenario("s3", guards={"not_empty": True})
    client.drop("members.csv", "")
    run = client.run()
    assert run.state == "failed"
    client.clear(run)
    client.clear_transfers(run)
    client.clear_failed(run)
    client.run(resend_failed=True)
    time.sleep(1.1)
    client.drop("members.csv", "")
    client.run()
    assert client.delivered() == {}
    assert client.run(resend_failed=True, reason="the payer has no members this month").state == "success"
    assert client.delivered() == {"members.csv": b""}
    entry = client.entries()["members.csv"]
    assert (entry.guarded, entry.item["askedWhy"]) == (False, "the payer has no members this month")


def test_a_run_that_is_asked_for_it_without_a_reason_is_not_green(scenario):
    """Whoever asked would believe that it was sent."""
    client = scenario("s3", guards={"not_empty": True})
    client.drop("members.csv", "")
    client.run()
    asked = [client.entries()["members.csv"].identity]
    refused = client.run(send_again=asked)
    assert refused.tries["register_files"] == 1
    assert 'such a file is sent only with a reason: "members.csv". Nothing was sent.' in str(
        refused.errors["register_files"]
    )
    assert client.delivered() == {}
    assert client.run(send_again=asked, reason="no members this month").state == "success"
    assert client.delivered() == {"members.csv": b""}


def test_only_held_files_wait_and_the_run_that_finds_them_reports_once(scenario):
    client = scenario("s3", guards={"min_size": "1 KiB", "max_size": "2 KiB"})
    client.drop("small.csv", "x")
    client.drop("large.csv", "x" * 3000)
    client.drop("right.csv", "x" * 1500)
    client.run()
    assert list(client.delivered()) == ["right.csv"]
    why = held(client)
    assert "1 bytes, but at least 1,024 are expected" in why["small.csv"]
    assert "3,000 bytes, but at most 2,048 are expected" in why["large.csv"]
    client.run()  # removes what it has delivered
    mails = len(client.mails())
    idle = client.run()
    assert idle.executed == ["register_files"]
    assert "the file has 1 bytes" in str(idle.errors["register_files"])
    assert len(client.mails()) == mails


def test_a_size_far_from_the_usual_one_is_held(scenario):
    client = scenario("s3", guards={"size_within": "50%"})
    for day in range(1, 4):
        client.drop(f"claims_2026030{day}.csv", f"{day}" * 1000)
        assert client.run().state == "success"
    client.drop("claims_20260304.csv", "4" * 400)
    client.drop("claims_20260305.csv", "5" * 1499)
    client.drop("other_1.csv", "6")
    client.run()
    assert list(held(client)) == ["claims_20260304.csv"]
    assert "the median of the last 3 of its kind is 1,000" in held(client)["claims_20260304.csv"]
    assert {"claims_20260305.csv", "other_1.csv"} <= {*client.delivered()}


def test_a_file_that_may_still_be_written_is_left_and_taken_later(scenario):
    client = scenario("s3", guards={"stable_for": "3 s"})
    client.drop("a.csv")
    assert client.run().state == "success"
    assert (client.entries(), client.waiting()) == ({}, ["a.csv"])
    time.sleep(4)
    assert client.run().state == "success"
    assert list(client.delivered()) == ["a.csv"]


def test_the_done_file_stays_while_a_file_of_its_set_is_left(scenario):
    client = scenario("s3", trigger_on_done_file=True, guards={"stable_for": "3 s"})
    client.drop("a.csv")
    client.drop_done()
    client.run()
    assert len(client.waiting()) == 2
    time.sleep(4)
    client.run()
    assert list(client.delivered()) == ["a.csv"]


def test_a_set_that_is_not_complete_is_held_as_a_whole(scenario):
    expected = [{"pattern": "members_*.csv", "at_least": 1, "at_most": 1}, {"pattern": "claims_*.csv", "at_least": 2}]
    client = scenario("s3", trigger_on_done_file=True, guards={"expected_files": expected})
    client.drop("members_1.csv", "1")
    client.drop("claims_1.csv", "2")
    client.drop_done()
    client.run()
    assert client.delivered() == {}
    assert {*held(client)} == {"members_1.csv", "claims_1.csv"}
    assert "1 files are like 'claims_*.csv', but at least 2 are expected" in held(client)["members_1.csv"]
    client.drop("claims_2.csv", "3")
    client.drop_done()
    client.run()
    assert list(client.delivered()) == ["claims_2.csv"]
    client.run(resend_failed=True, reason="complete now")
    assert {*client.delivered()} == {"members_1.csv", "claims_1.csv", "claims_2.csv"}


@pytest.mark.parametrize(
    ("beside", "why"),
    [
        (None, "there is no checksum file 'a.csv.sha256' beside it"),
        ("not a sum", "does not begin with a SHA-256 in hexadecimal"),
        ("0" * 64 + "  a.csv", "but its checksum file says 0000"),
        (hashlib.sha256(b"content").hexdigest() + "  a.csv\n", None),
        (hashlib.sha256(b"content").hexdigest().upper(), None),
    ],
)
def test_a_checksum_file_is_required_and_compared(scenario, beside, why):
    client = scenario("s3", guards={"checksum_files": "sha256"})
    client.drop("a.csv", "content")
    if beside is not None:
        client.drop("a.csv.sha256", beside)
    client.run()
    if why is None:
        assert "a.csv" in client.delivered()
    else:
        assert "a.csv" not in client.delivered()
        assert why in held(client)["a.csv"]


def test_a_plan_says_what_a_guard_holds(scenario):
    client = scenario("s3", guards={"not_empty": True})
    client.drop("members.csv", "")
    run = client.run(only_plan=True)
    assert 'held,members.csv,0,"Held by a guard: the file is empty' in run.pushed["csv"]
    assert client.entries() == {}
