"""What counts as the same file on a pick-up as they are on AWS, encrypted by KMS and versioned (R3.6, R3.7, R5, R5.9).

There every upload of the same bytes has another ETag.
"""

from __future__ import annotations

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.operators.register_files import RegisterFilesSensor
from tests.functional.runs.trouble import after
from tests.support.pickups import make_bucket

BODY = b"member,plan\n" * 600_000


@pytest.fixture
def kms(scenario):
    return lambda destination="gcs", **changes: scenario(destination, pickups="kms", **changes)


def drop_with(client, name: str, algorithm: str) -> None:
    """As an SDK does that sends this checksum along."""
    place = {"Bucket": client.config.pickup.bucket, "Key": client.config.pickup.prefix + name}
    client.s3.put_object(**place, Body=b"rows", ChecksumAlgorithm=algorithm)


def upload_in_parts(client, name: str, body: bytes, part_size: int = 5 * 1024**2, **options: str) -> None:
    """As a tool does that cuts files by its own rule."""
    place = {"Bucket": client.config.pickup.bucket, "Key": client.config.pickup.prefix + name}
    upload = client.s3.create_multipart_upload(**place, **options)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(body), part_size), 1):
        part = {"PartNumber": number, "Body": body[start : start + part_size]}
        etag = client.s3.upload_part(**place, UploadId=upload, **part)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    client.s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})


def visible(client) -> list[str]:
    """Every name that the recipient was ever shown, each time."""
    return sorted(name for name, _, _ in client.became_visible())


def mails(client) -> list[str]:
    return [mail.subject.partition("] ")[2] for mail in client.mails()]


def test_r3_6_a_file_dropped_again_is_removed_and_not_sent(kms):
    client = kms()
    client.drop("claims.csv", BODY)
    client.run()
    client.run()
    client.drop("claims.csv", BODY)
    client.run()
    assert (client.waiting(), visible(client)) == ([], ["claims.csv"])
    assert mails(client) == ["Job started: 1 file", "Job finished: 1 delivered"]


@pytest.mark.parametrize("part_size", [5 * 1024**2, 6 * 1024**2])
def test_r3_6_the_same_bytes_from_another_tool_are_recognised(kms, part_size):
    client = kms()
    client.drop("claims.csv", BODY)
    client.run()
    client.run()
    upload_in_parts(client, "claims.csv", BODY, part_size)
    client.run()
    assert (client.waiting(), visible(client)) == ([], ["claims.csv"])


def test_r5_7_the_same_content_under_another_name_is_reported_once_and_removed(kms):
    client = kms()
    client.drop("a.csv", "same")
    client.drop("b.csv", "same")
    client.run()
    client.run()
    client.drop("c.csv", "same")
    run = client.run()
    assert run.errors == {}
    assert (client.waiting(), visible(client)) == ([], ["a.csv"])
    finished = [mail for mail in client.mails() if "finished" in mail.subject]
    assert [mail.subject.partition(": ")[2] for mail in finished] == [
        "1 delivered, 1 not sent",
        "0 delivered, 1 not sent",
    ]
    assert "c.csv" in finished[-1].text
    assert "b.csv" not in finished[-1].text, "names of past runs do not come back"
    client.run()
    assert len(client.mails()) == 3


def test_r3_6_what_was_uploaded_with_a_32_bit_checksum_is_recognised_by_name(kms):
    """Some SDKs choose CRC32: too short to tell files of different names apart, long enough for the same name."""
    client = kms()
    place = {"Bucket": client.config.pickup.bucket, "ChecksumAlgorithm": "CRC32"}
    client.s3.put_object(**place, Key=client.config.pickup.prefix + "claims.csv", Body=b"rows")
    client.run()
    client.run()
    client.s3.put_object(**place, Key=client.config.pickup.prefix + "claims.csv", Body=b"rows")
    client.run()
    assert (client.waiting(), visible(client)) == ([], ["claims.csv"])


@pytest.mark.parametrize(
    ("bucket", "after", "algorithm"),
    [
        ("versioned, KMS", "next_run", "CRC32"),
        ("versioned, KMS", "delete", "CRC32C"),
        ("KMS", {"archive": "sent/"}, "CRC32"),
        ("KMS", {"archive": "sent/"}, "CRC32C"),
        ("KMS", "keep", "CRC32"),
    ],
)
def test_r5_7_what_s3_copied_and_knows_by_32_bits_is_recognised_under_another_name(
    scenario, stack, bucket, after, algorithm
):
    """boto3 chooses CRC32, and who copies within S3 reads nothing: what was sent is read where it is left."""
    client = scenario(
        "s3", pickup={"bucket": make_bucket(stack.client("s3"), bucket), "prefix": "in/"}, after_delivery=after
    )
    drop_with(client, "a.csv", algorithm)
    client.run()
    client.run()
    drop_with(client, "b.csv", algorithm)
    run = client.run()
    assert run.errors == {}
    assert list(client.delivered()) == ["a.csv"]
    assert mails(client)[-1] == "Job finished: 0 delivered, 1 not sent"
    assert "b.csv" in client.mails()[-1].text
    before = len(client.mails())
    drop_with(client, "c.csv", algorithm)
    client.run()
    assert list(client.delivered()) == ["a.csv"], "known by its content from now on"
    assert len(client.mails()) == before + 1


@pytest.mark.parametrize("archive", ["none", "overwritten"])
def test_r5_7_what_cannot_be_compared_is_sent(scenario, stack, archive):
    """Equal in 32 bits and size is no proof: a file that nobody can compare is never held back."""
    after = "delete" if archive == "none" else {"archive": "sent/"}
    client = scenario(
        "s3", pickup={"bucket": make_bucket(stack.client("s3"), "KMS"), "prefix": "in/"}, after_delivery=after
    )
    drop_with(client, "a.csv", "CRC32")
    client.run()
    if archive == "overwritten":
        bucket, _, key = client.entries()["a.csv"].archived_to[5:].partition("/")
        client.s3.put_object(Bucket=bucket, Key=key, Body=b"ROWS", ChecksumAlgorithm="CRC32")
    drop_with(client, "b.csv", "CRC32")
    assert client.run().state == "success"
    assert sorted(client.delivered()) == ["a.csv", "b.csv"]


def test_r3_6_a_digest_of_other_parts_is_no_other_content(kms):
    """SHA-256 of a multipart upload is a digest of its parts' digests (S3 user guide, *Checking object integrity*)."""
    client = kms()
    upload_in_parts(client, "claims.csv", BODY, 5 * 1024**2, ChecksumAlgorithm="SHA256")
    client.run()
    client.run()
    upload_in_parts(client, "claims again.csv", BODY, 6 * 1024**2, ChecksumAlgorithm="SHA256")
    client.run()
    assert (client.waiting(), visible(client)) == ([], ["claims.csv"])


@pytest.mark.parametrize("destination", ["gcs", "sftp"])
def test_r3_6_a_checksum_that_was_computed_on_delivery_recognises_what_s3_knows_by_another(kms, destination):
    client = kms(destination)
    key = {"Bucket": client.config.pickup.bucket, "Key": client.config.pickup.prefix + "claims.csv"}
    client.s3.put_object(**key, Body=b"rows", ChecksumAlgorithm="SHA256")
    client.run()
    client.run()
    client.s3.put_object(**key, Body=b"rows", ChecksumAlgorithm="CRC64NVME")
    client.run()
    assert client.waiting() == []
    assert len([mail for mail in client.mails() if "1 delivered" in mail.subject]) == 1


def test_r3_6_dedupe_by_etag_sends_another_upload_again(kms):
    client = kms(dedupe_by="etag")
    client.drop("a.csv", "rows")
    client.run()
    client.run()
    client.drop("a.csv", "rows")
    client.run()
    assert visible(client) == ["a.csv", "a.csv"]


@pytest.mark.parametrize("pickups", ["kms", pytest.param("plain", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("before", "then"),
    [
        ("content", "content_and_name"),
        ("content_and_name", "content"),
        ("etag", "content"),
        ("content", "etag"),
        ("content_and_name", "etag"),
        ("etag", "content_and_name"),
    ],
)
def test_r3_7_editing_dedupe_by_sends_nothing_again(scenario, pickups, before, then):
    client = scenario("gcs", pickups=pickups, trigger_on_done_file=True, dedupe_by=before)
    client.drop("january.csv", "j")
    client.drop_done()
    client.run()
    client.edit(dedupe_by=then)
    client.drop("february.csv", "f")
    client.drop_done()
    client.run()
    assert visible(client) == ["february.csv", "january.csv"]
    assert client.waiting() == ["february.csv"]


def test_r3_7_following_the_finish_mails_advice_sends_only_the_name_that_was_not_sent(kms):
    client = kms(trigger_on_done_file=True)
    for name, content in (("a.csv", "same"), ("b.csv", "same"), ("c.csv", "else")):
        client.drop(name, content)
    client.drop_done()
    client.run()
    assert "drop the file again" in " ".join(client.mails()[-1].text.split())
    client.edit(dedupe_by="content_and_name")
    client.drop("b.csv", "same")
    client.drop_done()
    client.run()
    assert visible(client) == ["a.csv", "b.csv", "c.csv"]


@pytest.mark.parametrize("pickups", ["kms", "plain"])
def test_r3_7_a_feed_that_gets_a_name_keeps_its_history(scenario, pickups):
    client = scenario("gcs", pickups=pickups, trigger_on_done_file=True)
    client.drop("january.csv", "j")
    client.drop_done()
    client.run()
    client.edit(feed="claims", name=client.config.name + "_renamed")
    client.drop("february.csv", "f")
    client.drop_done()
    assert client.run().state == "success"
    assert visible(client) == ["february.csv", "january.csv"]
    assert client.entries()["january.csv"].status is Status.SUCCESS


def test_r3_7_what_was_half_done_under_the_old_key_is_finished_under_the_new_one(kms, monkeypatch):
    client = kms(trigger_on_done_file=True)
    client.drop("january.csv", "j")
    client.drop_done()
    old = client.ledger
    with monkeypatch.context() as patch:
        patch.setattr(
            "client_delivery.run.attempt.Batch.deliver", lambda *_: (_ for _ in ()).throw(RuntimeError("killed"))
        )
        for task in ("notify.NotifyFinishedOperator", "report.ReportOperator"):
            patch.setattr(f"client_delivery.operators.{task}.execute", lambda *_: None)
        client.run()
    client.edit(feed="claims")
    assert client.run().state == "success"
    assert visible(client) == ["january.csv"]
    assert old.open_entries() == []
    assert [(entry.open, entry.active) for entry in client.entries().values()] == [(False, False)]


def test_r3_7_another_client_number_on_the_same_pickup_is_refused_with_advice(kms):
    client = kms()
    client.drop("a.csv")
    client.run()
    number = client.config.client_h_number
    client.edit(client_h_number="H999999999")
    client.drop("b.csv", "b")
    run = client.run()
    assert run.state == "failed"
    assert f"formerly: [{number}]" in str(run.errors["register_files"])
    assert visible(client) == ["a.csv"]
    client.edit(formerly=[number])
    assert client.run().state == "success"
    assert visible(client) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("pickups", ["kms", pytest.param("plain", marks=pytest.mark.slow)])
@pytest.mark.parametrize("how", ["next run", "clear", "clear only the failed tasks", "resend_failed"])
def test_r5_9_a_file_renamed_as_told_is_sent(scenario, pickups, how):
    client = scenario("gcs", pickups=pickups)
    client.drop("a\tb.csv", "rows")
    run = client.run()
    client.withdraw("a\tb.csv")
    client.drop("ab.csv", "rows")
    again = {
        "next run": client.run,
        "clear": lambda: client.clear(run),
        "clear only the failed tasks": lambda: client.clear_failed(run),
        "resend_failed": lambda: client.run(resend_failed=True),
    }[how]()
    assert again.state == "success"
    assert visible(client) == ["ab.csv"]


def test_r5_9_a_done_file_clients_renamed_file_goes_by_a_clear(kms):
    client = kms(trigger_on_done_file=True)
    client.drop("a\tb.csv", "rows")
    client.drop_done()
    run = client.run()
    client.withdraw("a\tb.csv")
    client.drop("ab.csv", "rows")
    client.drop("next-set.csv", "not complete yet")
    assert client.clear(run).state == "success"
    assert visible(client) == ["ab.csv"]


@pytest.mark.parametrize("pickups", ["kms", "plain"])
def test_r5_9_a_failed_file_dropped_again_is_sent_and_one_left_alone_is_held(scenario, pickups):
    client = scenario("gcs", pickups=pickups)
    client.drop("a.csv", "rows")
    client.gcs_faults({"call": "", "status": 400, "code": "InvalidArgument", "times": 0})
    assert client.run().state == "failed"
    client.gcs_faults()
    assert client.run().executed == ["register_files"]
    client.drop("a.csv", "rows")
    assert client.run().state == "success"
    assert visible(client) == ["a.csv"]


def test_r5_9_an_undeliverable_name_does_not_condemn_the_others_of_its_content(kms):
    client = kms(trigger_on_done_file=True)
    client.drop("a\tb.csv", "rows")
    client.drop("good.csv", "rows")
    client.drop_done()
    assert client.run().state == "success"
    assert visible(client) == ["good.csv"]


def test_r5_9_a_content_that_fails_under_one_name_is_not_tried_under_the_others_run_after_run(kms):
    client = kms()
    client.drop("a.csv", "rows")
    client.drop("b.csv", "rows")
    client.gcs_faults({"call": "", "status": 400, "code": "InvalidArgument", "times": 0})
    client.run()
    assert [client.run().executed for _ in range(3)] == [["register_files"]] * 3
    assert len(client.mails()) == 2


@pytest.mark.parametrize("with_done_file", [False, True])
def test_r5_9_an_idle_run_is_red_and_names_what_is_held_until_it_is_solved(kms, with_done_file):
    client = kms(trigger_on_done_file=with_done_file)
    client.drop("a\tb.csv", "rows")
    if with_done_file:
        client.drop_done()
    client.run()
    idle = client.run()
    assert (idle.state, idle.executed) == ("failed", ["register_files"])
    assert idle.tries["register_files"] == 1
    assert "'a\\tb.csv'" in str(idle.errors["register_files"])
    assert len(client.mails()) == 2, "the finish e-mail has said so today"
    client.withdraw("a\tb.csv")
    assert client.run().state == "success"


def test_r5_9_after_a_day_the_contacts_are_reminded_once_a_day(kms, monkeypatch):
    from datetime import timedelta

    client = kms()
    client.drop("a\tb.csv", "rows")
    client.run()
    monkeypatch.setattr("client_delivery.run.held._TOLD_BY_FINISH_MAIL", timedelta(0))
    for _ in range(3):
        client.run()
    assert mails(client)[2:] == ["Still held: 1 held"]
    assert "a\\tb.csv" in client.mails()[-1].text or "a b.csv" in client.mails()[-1].text


def test_r5_3_under_bypass_every_name_of_one_content_goes_in_one_run(kms):
    client = kms(bypass_file_checks=True)
    for number in range(4):
        client.drop(f"flag{number}.ok", "")
    client.run()
    assert visible(client) == [f"flag{number}.ok" for number in range(4)]
    assert "same content" not in client.mails()[-1].text
    assert client.waiting() == []
    client.run()
    client.drop("flag2.ok", "")
    client.run()
    assert visible(client).count("flag2.ok") == 2
    assert mails(client)[-1] == "Job finished: 1 delivered"


def test_r4_2_what_the_lagging_index_hides_from_the_health_check_is_taken_over_all_the_same(kms, monkeypatch):
    client = kms()
    client.drop("a.csv", "rows")
    with monkeypatch.context() as patch:
        patch.setattr(
            "client_delivery.run.attempt.Batch.deliver", lambda *_: (_ for _ in ()).throw(RuntimeError("killed"))
        )
        for task in ("notify.NotifyFinishedOperator", "report.ReportOperator"):
            patch.setattr(f"client_delivery.operators.{task}.execute", lambda *_: None)
        client.run()
    monkeypatch.setattr("client_delivery.ledger.reads.Reader.indexed", lambda *_: iter(()))
    assert client.run().state == "success"
    assert visible(client) == ["a.csv"]


@pytest.mark.parametrize("seed", [1, 2])
def test_r4_an_index_that_lags_costs_no_mail_no_name_and_no_run(kms, seed):
    client = kms()
    client.stack.order_index_lag(3, seed=seed)
    try:
        for round_number in (1, 2):
            names = [f"{round_number}-{number}.csv" for number in range(5)]
            for name in names:
                client.drop(name, f"content of {name}")
            client.drop(f"{round_number}-twin.csv", f"content of {names[0]}")
            assert client.run().state == "success"
            started, finished = client.mails()[-2:]
            assert [name in started.text for name in names] == [True] * 5
            assert [name in finished.text for name in [*names, f"{round_number}-twin.csv"]] == [True] * 6
        assert len(client.mails()) == 4
        client.drop("late-twin.csv", "content of 1-0.csv")
        client.run()
        assert "late-twin.csv" in client.mails()[-1].text
    finally:
        client.stack.order_index_lag(0)


def test_r5_2_a_file_overwritten_between_listing_and_looking_goes_as_it_is_now(kms, monkeypatch):
    from client_delivery.pickup.pickup import Pickup

    client = kms()
    client.drop("a.csv", "old")
    real = Pickup.identify

    def identify(self, files):
        files = list(files)
        client.drop("a.csv", "new")
        return real(self, files)

    with monkeypatch.context() as patch:
        patch.setattr(Pickup, "identify", identify)
        assert client.run().state == "success"
    assert client.delivered() == {"a.csv": b"new"}


def test_r4_2_a_run_that_died_after_registering_is_resumed_once(kms, monkeypatch):
    client = kms()
    client.drop("a.csv", "rows")
    with monkeypatch.context() as patch:
        after(patch, RegisterFilesSensor, lambda: (_ for _ in ()).throw(RuntimeError("killed")))
        client.run()
    assert client.run().state == "success"
    assert visible(client) == ["a.csv"]


@pytest.mark.parametrize(
    "trouble",
    [{"status": 500, "code": "InternalError"}, {"reset": "after"}, {"status": 403, "code": "AccessDenied"}],
    ids=str,
)
@pytest.mark.parametrize("version", [False, True], ids=["the file", "what was sent"])
def test_r5_7_what_cannot_be_read_for_a_moment_is_not_taken_for_unknown(scenario, stack, trouble, version):
    """Sent under another name in that moment, it would be sent twice."""
    bucket = make_bucket(stack.client("s3"), "versioned, KMS")
    client = scenario("s3", pickup={"bucket": bucket, "prefix": "in/"})
    drop_with(client, "a.csv", "CRC32")
    client.run()
    client.run()
    drop_with(client, "b.csv", "CRC32")
    call = r"s3\.GetObjectVersion$" if version else r"s3\.GetObject$"
    client.aws_faults({"call": call, "times": 2 if "status" in trouble else 1, **trouble})
    run = client.run()
    assert client.aws_faults(), "nothing was in trouble"
    assert (run.state, list(client.delivered())) == ("success", ["a.csv"])
    assert mails(client)[-1] == "Job finished: 0 delivered, 1 not sent"
