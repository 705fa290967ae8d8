"""Trouble with the pick-up: said where it belongs, and nothing is lost."""

from __future__ import annotations

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.pickup.pickup import Pickup
from tests.functional.runs.trouble import after, failed_everywhere


def test_a_missing_pickup_bucket_is_said_and_nothing_else_happens(scenario):
    client = scenario(pickup={"bucket": "no-such-pickup", "prefix": "x/"})
    run = client.run()
    assert run.state == "failed"
    assert "there is no bucket 'no-such-pickup'; correct pickup.bucket" in str(run.errors["register_files"])
    assert client.entries() == {}
    assert client.mails() == []


def test_a_missing_pickup_bucket_is_told_from_a_missing_done_file(scenario):
    client = scenario(pickup={"bucket": "no-such-pickup", "prefix": "x/"}, trigger_on_done_file=True)
    assert "there is no bucket" in str(client.run().errors["register_files"])


def test_denied_access_to_the_pickup_names_the_role(scenario):
    role = "arn:aws:iam::111122223333:role/pickup-reader"
    client = scenario(pickup={"bucket": "example-pickup", "prefix": "denied/", "role_arn": role})
    client.aws_faults({"call": "s3.ListObjectsV2", "status": 403, "code": "AccessDenied", "times": 0})
    run = client.run()
    assert f"access denied to the role {role}" in str(run.errors["register_files"])


def test_a_passing_trouble_of_s3_is_retried_by_airflow(scenario):
    client = scenario()
    client.drop("a.csv")
    # More often than botocore tries by itself, less often than with Airflow's retries.
    client.aws_faults({"call": "s3.ListObjectsV2", "status": 503, "code": "SlowDown", "times": 7})
    run = client.run()
    assert run.state == "success"
    assert run.tries["register_files"] == 2
    assert client.delivered() == {"a.csv": b"content"}


def test_a_file_deleted_between_listing_and_sending_fails_with_its_reason_and_the_others_go_on(scenario, monkeypatch):
    client = scenario("gcs")
    client.drop("gone.csv", "gone")
    client.drop("stays.csv", "stays")
    after(monkeypatch, RegisterFilesSensor, lambda: client.withdraw("gone.csv"))
    run = client.run()
    failed_everywhere(client, run, "gone.csv", "is gone: it was removed from the pick-up before it could be sent")
    assert client.entries()["gone.csv"].send_attempts == 1
    assert client.delivered() == {"stays.csv": b"stays"}


@pytest.mark.parametrize("destination", ["s3", "gcs", "sftp"])
def test_r8_3_a_file_overwritten_before_it_is_read_leaves_the_run_green_and_goes_with_the_next(
    scenario, monkeypatch, destination
):
    """Where the bucket keeps no versions: else what was registered is still there, and goes."""
    client = scenario(destination, pickups="plain")
    client.drop("a.csv", "old")
    client.drop("b.csv", "other")
    with monkeypatch.context() as patch:
        after(patch, RegisterFilesSensor, lambda: client.drop("a.csv", "new"))
        first = client.run()
    assert (first.state, first.errors) == ("success", {})
    assert client.delivered() == {"b.csv": b"other"}
    old = client.entries()["a.csv"]
    assert (old.status, old.replaced, old.send_attempts, old.active) == (Status.FAIL, True, 0, False)
    mail = client.mails()[-1]
    assert mail.subject.endswith("Job finished: 1 delivered, 1 replaced")
    assert "The next run sends it; for a client with a done file, the run with the next done file does." in " ".join(
        mail.text.split()
    )
    assert client.run().state == "success"
    assert client.delivered() == {"a.csv": b"new", "b.csv": b"other"}
    client.run()
    assert client.run().executed == ["register_files"], "nothing is left to be seen to"


def test_r5_9_what_was_replaced_goes_when_it_comes_back(scenario, monkeypatch):
    client = scenario("s3", pickups="plain")
    client.drop("a.csv", "old")
    with monkeypatch.context() as patch:
        after(patch, RegisterFilesSensor, lambda: client.drop("a.csv", "new"))
        client.run()
    client.run()
    client.drop("a.csv", "old")
    run = client.run()
    assert (run.state, client.delivered()) == ("success", {"a.csv": b"old"})


def test_r4_3_with_a_done_file_it_is_red_for_the_new_content_waits_for_the_next_one(scenario, monkeypatch):
    client = scenario("s3", pickups="plain", trigger_on_done_file=True)
    client.drop("a.csv", "old")
    client.drop_done()
    with monkeypatch.context() as patch:
        after(patch, RegisterFilesSensor, lambda: client.drop("a.csv", "new"))
        run = client.run()
    assert run.state == "failed"
    assert "has changed since it was registered" in str(run.errors["report"])
    client.drop_done()
    assert client.run().state == "success"
    assert client.delivered() == {"a.csv": b"new"}


def test_r8_3_a_file_that_failed_beside_one_that_was_replaced_is_what_makes_the_run_red(scenario, monkeypatch):
    client = scenario("s3", pickups="plain")
    client.drop("a.csv", "old")
    client.drop("gone.csv", "gone")

    def meanwhile() -> None:
        client.drop("a.csv", "new")
        client.withdraw("gone.csv")

    with monkeypatch.context() as patch:
        after(patch, RegisterFilesSensor, meanwhile)
        run = client.run()
    assert run.state == "failed"
    assert str(run.errors["report"]).startswith("1 file was not delivered")
    assert "a.csv" not in str(run.errors["report"])


def test_r4_5_a_done_file_that_comes_during_the_run_starts_the_next_one(scenario, monkeypatch):
    """The second set arrives, done file and all, while the first is being registered."""
    client = scenario("s3", trigger_on_done_file=True)
    client.drop("first.csv", "first")
    client.drop_done()
    listing = Pickup.files

    def files(self: Pickup):
        found = list(listing(self))
        if not client.entries() and "second.csv" not in client.waiting():
            # A second passes: S3 dates objects by the second, and an empty done file's ETag never changes.
            client.drop("second.csv", "second")
            client.stack.client("s3").put_object(
                Bucket=client.config.pickup.bucket, Key=client.config.done_file_key, Body=b"second set"
            )
        return iter(found)

    monkeypatch.setattr(Pickup, "files", files)
    client.run()
    assert set(client.delivered()) <= {"first.csv", "second.csv"}
    monkeypatch.setattr(Pickup, "files", listing)
    client.run()
    assert set(client.delivered()) == {"first.csv", "second.csv"}
