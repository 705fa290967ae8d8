"""Trouble with the destination: every file's reason is told, and nothing half stays."""

from __future__ import annotations

import json

import httpx
import pytest

from client_delivery.ledger.entry import MAX_ATTEMPTS, Status
from local.sshd import AsyncSsh
from tests.functional.runs.trouble import failed_everywhere


def test_a_missing_destination_bucket_fails_every_file_with_the_advice(scenario):
    client = scenario("gcs", place={"bucket": "no-such-bucket"})
    client.drop("a.csv", "a")
    client.drop("b.csv", "b")
    run = client.run()
    failed_everywhere(client, run, "a.csv", "Google Cloud Storage has no bucket 'no-such-bucket'")
    assert client.entries()["b.csv"].status is Status.FAIL
    assert client.entries()["b.csv"].send_attempts == MAX_ATTEMPTS


def test_a_missing_connection_names_it_and_where_it_belongs(scenario):
    client = scenario("sftp", place={"connection_id": "nowhere"})
    client.drop("a.csv")
    run = client.run()
    failed_everywhere(client, run, "a.csv", "There is no Airflow connection 'nowhere'")


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"keyfile_dict": "{not json"}, "holds no usable Google credential"),
        ({"keyfile_dict": {"type": "service_account"}}, "holds no usable Google credential"),
        ({}, "holds no usable Google credential"),
    ],
)
def test_r2_5_a_malformed_google_secret_is_named_and_never_quoted(scenario, monkeypatch, extra, reason):
    client = scenario("gcs")
    connection = json.dumps({"conn_type": "generic", "password": "hunter2-secret", "extra": json.dumps(extra)})
    monkeypatch.setenv(f"AIRFLOW_CONN_{client.config.name.upper()}", connection)
    client.drop("a.csv")
    run = client.run()
    failed_everywhere(client, run, "a.csv", reason)
    assert "hunter2" not in str(run.errors) + str(client.entries()) + client.mails()[-1].text


def test_an_expired_google_credential_is_told_from_other_trouble(scenario):
    client = scenario("gcs")
    client.gcs_faults({"call": "token", "status": 400, "code": "invalid_grant", "times": 0})
    client.drop("a.csv")
    failed_everywhere(client, client.run(), "a.csv", "Google refuses the credential")


def test_a_token_service_out_of_reach_does_not_blame_the_credential(scenario):
    client = scenario("gcs")
    client.gcs_faults({"call": "token", "reset": "before", "times": 0})
    client.drop("a.csv")
    failed_everywhere(client, client.run(), "a.csv", "Google's token service cannot be reached")


def test_an_unknown_host_key_sends_nothing_and_shows_both_fingerprints(scenario, tmp_path):
    other = AsyncSsh(tmp_path / "other")
    try:
        client = scenario("sftp", place={"host_keys": [other.server.host_key]})
    finally:
        other.stop()
    client.drop("a.csv")
    run = client.run()
    failed_everywhere(client, run, "a.csv", "shows the host key SHA256:")
    assert client.delivered() == {}


def test_an_unreachable_host_is_said(scenario):
    client = scenario("sftp", place={"port": 1})
    client.drop("a.csv")
    failed_everywhere(client, client.run(), "a.csv", "cannot be reached")


def test_a_refused_login_names_the_connection_and_not_the_secret(scenario, monkeypatch):
    client = scenario("sftp")
    connection = json.dumps({"conn_type": "sftp", "password": "hunter2-secret"})
    monkeypatch.setenv(f"AIRFLOW_CONN_{client.config.name.upper()}", connection)
    client.drop("a.csv")
    run = client.run()
    failed_everywhere(client, run, "a.csv", "refuses the login")
    assert "hunter2" not in str(run.errors)


def test_a_full_disk_on_the_server_is_said_and_leaves_no_partial_file(scenario, tmp_path, monkeypatch):
    server = AsyncSsh(tmp_path / "full", full_after=100_000)
    try:
        (server.server.root / "incoming").mkdir()
        place = {
            "port": server.server.port,
            "username": server.server.username,
            "directory": "incoming",
            "host_keys": [server.server.host_key],
            "connections": 1,
        }
        client = scenario("sftp", place=place)
        connection = json.dumps({"conn_type": "sftp", "password": server.server.password})
        monkeypatch.setenv(f"AIRFLOW_CONN_{client.config.name.upper()}", connection)
        client.drop("large.bin", b"x" * 1_000_000)
        run = client.run()
        failed_everywhere(client, run, "large.bin", "disk is full")
        assert not (server.server.root / "incoming" / "large.bin").exists()
    finally:
        server.stop()


@pytest.mark.parametrize("destination", ["gcs", "s3"])
def test_r6_7_a_transfer_that_is_cut_goes_on_where_it_was(scenario, destination):
    """One of the parts is refused once, so hard that the attempt fails; the next attempt sends only what is missing."""
    # A bandwidth limit makes the S3 destination stream, instead of having S3 copy.
    client = scenario(destination, place={"max_bytes_per_second": 10**9})
    content = bytes(range(256)) * (4096 * 72)
    client.drop("large.bin", content)
    refuse = {"call": "UploadPart$", "status": 400, "code": "InvalidArgument", "skip": 2, "times": 1}
    (client.gcs_faults if destination == "gcs" else client.aws_faults)(refuse)
    before = _reads(client)
    run = client.run()
    reads = _reads(client) - before
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 2
    assert client.delivered() == {"large.bin": content}
    assert client.entries()["large.bin"].resume is None
    # Five parts: one of them was read twice.
    assert reads == 6


def _reads(client) -> int:
    return httpx.get(f"{client.stack.aws_url}/_local/requests").json().get("s3.GetObject", 0)


@pytest.mark.parametrize("destination", ["gcs", "s3"])
def test_r6_7_a_transfer_that_fails_for_good_leaves_no_open_upload(scenario, destination):
    client = scenario(destination, place={"max_bytes_per_second": 10**9})
    client.drop("large.bin", bytes(40 * 1024**2))
    refuse = {"call": "UploadPart$", "status": 400, "code": "InvalidArgument", "skip": 1, "times": 0}
    (client.gcs_faults if destination == "gcs" else client.aws_faults)(refuse)
    assert client.run().state == "failed"
    assert client.delivered() == {}
    if destination == "gcs":
        assert client.stack.gcs(f"uploads/{client.config.destination.bucket}") == []
    else:
        uploads = client.s3.list_multipart_uploads(Bucket=client.config.destination.bucket)
        assert "Uploads" not in uploads


def test_a_missing_s3_bucket_is_said_by_the_first_file(scenario):
    client = scenario("s3", place={"bucket": "no-such-bucket"})
    client.drop("a.csv")
    failed_everywhere(client, client.run(), "a.csv", "There is no bucket 'no-such-bucket'")
