"""Bad input and trouble: each ends as a clear error in the right places, nothing is lost, the others go on."""

from __future__ import annotations

import json

import httpx
import pytest

from delivery.ledger.entry import MAX_ATTEMPTS, Status
from delivery.operators.register_files import RegisterFilesOperator
from delivery.operators.transfer_batch import TransferBatchOperator
from delivery.pickup import Pickup
from local.sshd import AsyncSsh
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


# -- the pick-up -----------------------------------------------------------------------------------------------------


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


# -- the destination -------------------------------------------------------------------------------------------------


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


def test_one_clients_trouble_is_no_others(scenario):
    broken, sound = scenario("sftp", place={"port": 1}), scenario("sftp")
    for client in (broken, sound):
        client.drop("a.csv")
    assert broken.run().state == "failed"
    assert sound.run().state == "success"
    assert sound.delivered() == {"a.csv": b"content"}


@pytest.mark.parametrize("name", ["../up.csv", "a/../../b.csv", "line\u2028break.csv"])
def test_r6_8_a_name_that_could_escape_is_refused_and_the_others_go(scenario, name):
    client = scenario("sftp")
    client.drop(name, "bad")
    client.drop("good.csv", "good")
    run = client.run()
    assert run.state == "failed"
    assert client.entries()[name].status is Status.FAIL
    assert "Rename the file" in str(client.entries()[name].last_error)
    assert client.delivered() == {"good.csv": b"good"}


def test_a_missing_s3_bucket_is_said_by_the_first_file(scenario):
    client = scenario("s3", place={"bucket": "no-such-bucket"})
    client.drop("a.csv")
    failed_everywhere(client, client.run(), "a.csv", "There is no bucket 'no-such-bucket'")


def test_r6_3_a_task_that_is_told_to_stop_is_not_green_and_its_next_try_goes_on(scenario, monkeypatch):
    client = scenario("gcs")
    for name in ("a.csv", "b.csv"):
        client.drop(name, name)
    execute, told = TransferBatchOperator.execute, []

    def stopped_once(self, context):
        if told:
            self._stop.clear()
        else:
            told.append(True)
            self.on_kill()
        return execute(self, context)

    monkeypatch.setattr(TransferBatchOperator, "execute", stopped_once)
    run = client.run()
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 2
    assert set(client.delivered()) == {"a.csv", "b.csv"}


def test_r8_3_a_file_that_failed_in_an_earlier_try_keeps_its_task_red(scenario, monkeypatch):
    client = scenario("gcs")
    client.drop("gone.csv", "gone")
    client.drop("slow.csv", "slow")
    after(monkeypatch, RegisterFilesOperator, lambda: client.withdraw("gone.csv"))
    client.gcs_faults({"call": "PutObject", "status": 400, "code": "InvalidArgument", "times": 1})
    run = client.run()
    assert client.delivered() == {"slow.csv": b"slow"}
    assert run.tries["transfer_batch[0]"] == 2
    assert "gone.csv" in str(run.errors["transfer_batch[0]"])


def test_r7_3_a_mail_service_that_is_down_stops_no_delivery_and_its_tasks_say_so(scenario):
    client = scenario("gcs")
    client.drop("a.csv")
    client.aws_faults({"call": "ses.SendRawEmail", "status": 503, "code": "ServiceUnavailable", "times": 0})
    run = client.run()
    client.aws_faults()
    assert client.delivered() == {"a.csv": b"content"}
    assert {run.states[task] for task in ("notify_started", "notify_finished")} == {"failed"}
    assert {run.states[task] for task in ("settle", "deactivate", "report")} == {"success"}
    assert run.state == "success"
    entry = client.entries()["a.csv"]
    assert (entry.status, entry.active) == (Status.SUCCESS, False)
    assert client.mails() == []


@pytest.mark.parametrize("call", ["dynamodb.TransactWriteItems", "dynamodb.UpdateItem"])
@pytest.mark.parametrize("skip", range(3))
def test_r3_5_an_answer_of_the_ledger_that_is_lost_costs_neither_a_file_nor_an_e_mail(scenario, call, skip):
    """Found by the campaign: files whose registration was confirmed to nobody were taken for another run's."""
    client = scenario("gcs")
    client.drop("before.csv", b"sent before")
    assert client.run().state == "success"
    client.drop("copy.csv", b"sent before")
    client.drop("new.csv", b"new")
    client.drop("other.csv", b"other")
    before = len(client.mails())
    client.aws_faults({"call": call, "skip": skip, "reset": "after"})
    run = client.run()
    assert run.state == "success", run.errors
    assert set(run.tries.values()) == {1}
    assert client.delivered() == {"before.csv": b"sent before", "new.csv": b"new", "other.csv": b"other"}
    assert [mail.subject.split()[2].strip(":") for mail in client.mails()[before:]] == ["started", "finished"]


@pytest.mark.parametrize("how", ["configuration", "form"])
def test_r7_1_no_e_mails_where_they_are_switched_off(scenario, how):
    client = scenario("gcs", **({"send_notifications": False} if how == "configuration" else {}))
    client.drop("a.csv")
    run = client.run(**({"send_notifications": False} if how == "form" else {}))
    assert run.state == "success"
    assert client.delivered() == {"a.csv": b"content"}
    assert client.mails() == []


def test_r6_7_what_no_attempt_lived_to_clean_up_is_cleaned_up_at_the_end(scenario, monkeypatch):
    """Every try of the transfer is killed in the middle of a large file; then Airflow gives up."""
    client = scenario("gcs")
    client.drop("large.bin", bytes(40 * 1024**2))
    monkeypatch.setattr("delivery.attempt.Batch._finish", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
    client.gcs_faults({"call": "UploadPart$", "status": 400, "code": "InvalidArgument", "skip": 1, "times": 0})
    run = client.run()
    assert run.state == "failed"
    entry = client.entries()["large.bin"]
    assert entry.status is Status.FAIL
    assert "No attempt left an outcome" in str(entry.last_error)
    assert client.stack.gcs(f"uploads/{client.config.destination.bucket}") == []
