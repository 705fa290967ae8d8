"""R5.8: what becomes of a delivered file in the pick-up."""

from __future__ import annotations

import re

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.pickup.pickup import Pickup, PickupError


@pytest.fixture
def client_with(scenario):
    return lambda after, destination="gcs", **changes: scenario(
        destination, pickups="kms", after_delivery=after, **changes
    )


def archived(client, prefix: str) -> dict[str, bytes]:
    """What is in the archive, by name, each under the time of its delivery."""
    bucket = client.config.pickup.bucket
    found = {}
    for item in client.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ()):
        folder, _, name = item["Key"].removeprefix(prefix).partition("/")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", folder)
        found[name] = client.s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
    return found


def test_r5_8_delete_removes_the_source_at_once(client_with):
    client = client_with("delete", trigger_on_done_file=True)
    client.drop("a.csv", "rows")
    client.drop_done()
    assert client.run().state == "success"
    assert (client.waiting(), client.delivered()) == ([], {"a.csv": b"rows"})
    assert client.run().executed == ["register_files"]


def test_r5_8_archive_keeps_a_copy_and_then_removes_the_source(client_with):
    client = client_with({"archive": "archive-r58/"})
    large = bytes(range(256)) * (40 * 4096)
    client.drop("sub/large.bin", large)
    client.drop("a.csv", "rows")
    assert client.run().state == "success"
    assert client.waiting() == []
    assert archived(client, "archive-r58/") == {"a.csv": b"rows", "sub/large.bin": large}
    client.drop("copy.csv", "rows")
    client.run()
    assert (client.waiting(), set(archived(client, "archive-r58/"))) == ([], {"a.csv", "copy.csv", "sub/large.bin"})


def test_r5_8_what_cannot_be_archived_stays_and_the_next_run_says_so(client_with):
    client = client_with({"archive": "archive-refused/"})
    client.drop("a.csv", "rows")
    client.aws_faults({"call": "s3", "path": "archive-refused", "status": 403, "code": "AccessDenied", "times": 0})
    assert client.run().state == "success"
    assert (client.waiting(), client.entries()["a.csv"].status) == (["a.csv"], Status.SUCCESS)
    again = client.run()
    assert "could not be archived, and stays where it is" in str(again.errors["register_files"])
    client.aws_faults()
    client.run()
    assert (client.waiting(), archived(client, "archive-refused/")) == ([], {"a.csv": b"rows"})
    assert len(list(client.became_visible())) == 1


@pytest.mark.parametrize("bypass", [False, True])
def test_r5_8_keep_removes_nothing_and_sends_nothing_twice(client_with, bypass):
    client = client_with("keep", bypass_file_checks=bypass)
    client.drop("a.csv", "rows")
    client.run()
    assert [client.run().executed for _ in range(2)] == [["register_files"]] * 2
    client.drop("b.csv", "rows")
    client.run()
    idle = client.run()
    assert idle.executed == ["register_files"]
    assert client.waiting() == ["a.csv", "b.csv"]
    sent = sorted(name for name, _, _ in client.became_visible())
    assert sent == (["a.csv", "b.csv"] if bypass else ["a.csv"])


def test_r5_8_a_source_that_could_not_be_deleted_at_once_goes_by_the_next_run(client_with, monkeypatch):
    client = client_with("delete")
    client.drop("a.csv", "rows")

    def refused(self, files):
        if files:
            raise PickupError("denied")
        return []

    with monkeypatch.context() as patch:
        patch.setattr(Pickup, "remove", refused)
        assert client.run().state == "success"
    client.run()
    assert (client.waiting(), len(list(client.became_visible()))) == ([], 1)


def test_r5_8_the_version_that_was_delivered_is_in_the_ledger(client_with):
    client = client_with("delete")
    client.drop("a.csv", "rows")
    client.run()
    entry = client.entries()["a.csv"]
    kept = client.s3.get_object(Bucket=entry.bucket, Key=entry.key, VersionId=entry.version_id)
    assert kept["Body"].read() == b"rows"
