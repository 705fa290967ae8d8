"""Whole runs, file by file: what is delivered, what the ledger says, what stays in the pick-up (R4 to R6, R8)."""

from __future__ import annotations

import pytest

from client_delivery.ledger.entry import Status

DESTINATIONS = ["s3", "gcs", "sftp"]
AWKWARD = ["a file.csv", "café 東京.csv", "50%+more?.csv", "#1.csv", "q&a='x'.csv", "sub folder/deep/er.csv"]


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_r1_a_run_delivers_every_file_exactly(scenario, destination):
    client = scenario(destination)
    files = {name: f"content of {name}".encode() for name in AWKWARD} | {"empty.csv": b"", "one.csv": b"1"}
    for name, content in files.items():
        client.drop(name, content)
    run = client.run()
    assert run.errors == {}
    assert run.state == "success"
    assert client.delivered() == files
    entries = client.entries()
    assert set(entries) == set(files)
    for entry in entries.values():
        assert (entry.status, entry.active, entry.open) == (Status.SUCCESS, False, False)
        assert entry.checksum.startswith("crc32:" if destination == "s3" else "crc32c:")
        assert entry.delivered_to


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_r6_a_file_in_parts_arrives_whole(scenario, destination):
    client = scenario(destination)
    content = bytes(range(256)) * (70 * 1024 * 4) + b"tail"
    client.drop("large.bin", content)
    assert client.run().errors == {}
    assert client.delivered() == {"large.bin": content}


def test_r4_4_an_idle_run_is_two_task_instances_and_writes_nothing(scenario):
    client = scenario("gcs")
    run = client.run()
    assert run.executed == ["register_files"]
    assert run.state == "success"
    assert client.entries() == {}
    assert client.mails() == []


def test_r5_2_the_next_run_removes_what_was_sent_and_the_one_after_is_idle(scenario):
    client = scenario()
    client.drop("a.csv")
    client.run()
    assert client.waiting() == ["a.csv"]
    second = client.run()
    assert client.waiting() == []
    assert second.executed == ["register_files"]
    assert client.run().executed == ["register_files"]
    assert len(client.mails()) == 2


def test_r4_5_the_done_file_starts_the_run_and_is_removed_but_never_delivered(scenario):
    client = scenario("gcs", trigger_on_done_file=True)
    client.drop("a.csv")
    assert client.run().executed == ["register_files"]
    client.drop_done()
    assert client.run().state == "success"
    assert client.delivered() == {"a.csv": b"content"}
    assert client.waiting() == ["a.csv"]


def test_r4_5_a_done_file_without_files_is_removed_quietly(scenario):
    client = scenario(trigger_on_done_file=True)
    client.drop_done()
    assert client.run().state == "success"
    assert client.waiting() == []
    assert client.mails() == []


def test_r9_1_the_done_file_can_be_ignored(scenario):
    client = scenario(trigger_on_done_file=True)
    client.drop("a.csv")
    client.run(ignore_done_file=True)
    assert client.delivered() == {"a.csv": b"content"}


def test_r5_3_bypass_sends_again_and_r5_6_removes_the_source(scenario):
    client = scenario(bypass_file_checks=True)
    client.drop("a.csv")
    client.run()
    assert client.waiting() == []
    first = client.entries()["a.csv"]
    assert client.run().executed == ["register_files"]
    client.drop("a.csv")
    client.run()
    assert client.waiting() == []
    assert client.entries()["a.csv"].fencing_token > first.fencing_token


def test_r5_7_one_content_under_two_names_is_sent_once_and_said_so(scenario):
    client = scenario()
    client.drop("a.csv", "same")
    client.drop("b.csv", "same")
    client.run()
    assert client.delivered() == {"a.csv": b"same"}
    finish = client.mails()[-1]
    assert "b.csv" in finish.text
    assert "same content as a.csv" in finish.text
    client.run()
    assert client.waiting() == []


# Under KMS no ETag tells: the content does, by the CRC64NVME that a delivery computes. A copy within S3 has none of
# what boto3 uploads (with a CRC32), and then only equal ETags are recognised (developers' guide).
@pytest.mark.parametrize(("destination", "pickups"), [("gcs", "kms"), ("s3", "plain")])
def test_r5_7_a_duplicate_that_comes_later_under_another_name_is_reported_by_mail_and_removed(
    scenario, destination, pickups
):
    client = scenario(destination, pickups=pickups)
    client.drop("a.csv", "same")
    client.run()
    client.run()
    client.drop("b.csv", "same")
    client.run()
    assert client.waiting() == []
    assert client.delivered() == {"a.csv": b"same"}
    assert "b.csv" in client.mails()[-1].text


def test_r5_7_content_and_name_delivers_both(scenario):
    client = scenario(dedupe_by="content_and_name")
    client.drop("a.csv", "same")
    client.drop("b.csv", "same")
    client.run()
    assert client.delivered() == {"a.csv": b"same", "b.csv": b"same"}


def test_r9_1_a_file_pattern_sends_only_what_matches(scenario):
    client = scenario()
    client.drop("a.csv", "a")
    client.drop("b.txt", "b")
    client.run(file_pattern="*.txt")
    assert client.delivered() == {"b.txt": b"b"}


def test_a_new_version_of_a_file_replaces_the_old_one(scenario):
    client = scenario("sftp")
    client.drop("a.csv", "old")
    client.run()
    client.drop("a.csv", "new")
    client.run()
    assert client.delivered() == {"a.csv": b"new"}


def test_patterns_of_the_configuration_leave_files_alone(scenario):
    client = scenario(pickup={"bucket": "example-pickup", "prefix": "patterns/", "include": ["*.csv"]})
    client.drop("a.csv")
    client.drop("notes.txt")
    client.run()
    assert client.delivered() == {"a.csv": b"content"}
    client.run()
    assert client.waiting() == ["notes.txt"]
