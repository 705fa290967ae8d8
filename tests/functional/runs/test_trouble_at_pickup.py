"""Trouble with the pick-up: said where it belongs, and nothing is lost."""

from __future__ import annotations

import pytest

from client_delivery.operators.register_files import RegisterFilesOperator
from client_delivery.pickup.pickup import Pickup
from tests.functional.runs.trouble import after, failed_everywhere


def test_a_missing_pickup_bucket_is_said_and_nothing_else_happens(scenario):
    client = scenario(pickup={"bucket": "no-such-pickup", "prefix": "x/"})
    run = client.run()
    assert run.state == "failed"
    assert "there is no bucket 'no-such-pickup'; correct pickup.bucket" in str(run.errors["detect_files"])
    assert client.entries() == {}
    assert client.mails() == []


def test_a_missing_pickup_bucket_is_told_from_a_missing_done_file(scenario):
    client = scenario(pickup={"bucket": "no-such-pickup", "prefix": "x/"}, trigger_on_done_file=True)
    assert "there is no bucket" in str(client.run().errors["detect_files"])


def test_denied_access_to_the_pickup_names_the_role(scenario):
    role = "arn:aws:iam::111122223333:role/pickup-reader"
    client = scenario(pickup={"bucket": "example-pickup", "prefix": "denied/", "role_arn": role})
    client.aws_faults({"call": "s3.ListObjectsV2", "status": 403, "code": "AccessDenied", "times": 0})
    run = client.run()
    assert f"access denied to the role {role}" in str(run.errors["detect_files"])


def test_a_passing_trouble_of_s3_is_retried_by_airflow(scenario):
    client = scenario()
    client.drop("a.csv")
    # More often than botocore tries by itself, less often than with Airflow's retries.
    client.aws_faults({"call": "s3.ListObjectsV2", "status": 503, "code": "SlowDown", "times": 7})
    run = client.run()
    assert run.state == "success"
    assert run.tries["detect_files"] == 2
    assert client.delivered() == {"a.csv": b"content"}


def test_a_file_deleted_between_listing_and_sending_fails_with_its_reason_and_the_others_go_on(scenario, monkeypatch):
    client = scenario("gcs")
    client.drop("gone.csv", "gone")
    client.drop("stays.csv", "stays")
    after(monkeypatch, RegisterFilesOperator, lambda: client.withdraw("gone.csv"))
    run = client.run()
    failed_everywhere(client, run, "gone.csv", "is gone: it was removed from the pick-up before it could be sent")
    assert client.entries()["gone.csv"].send_attempts == 1
    assert client.delivered() == {"stays.csv": b"stays"}


@pytest.mark.parametrize("destination", ["s3", "gcs", "sftp"])
def test_a_file_changed_before_it_is_sent_fails_and_its_new_content_is_delivered_next(
    scenario, monkeypatch, destination
):
    client = scenario(destination)
    client.drop("a.csv", "old")
    after(monkeypatch, RegisterFilesOperator, lambda: client.drop("a.csv", "new"))
    first = client.run()
    monkeypatch.undo()
    monkeypatch.setenv("AIRFLOW__DELIVERY__LEDGER_TABLE", "client-file-ledger")
    assert first.state == "failed"
    assert "changed" in str(first.errors["report"])
    assert client.delivered() == {}


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
