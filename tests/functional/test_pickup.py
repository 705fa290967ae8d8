"""The pick-up over a real S3 API: listing, done file, and removals that never hit another object."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest

from client_delivery.pickup.pickup import Pickup, PickupError
from local.stand_ins import PICKUP_BUCKET, keep_versions
from local.wait import wait_until
from tests.support.pickups import KINDS, make_bucket, suspend_versions
from tests.support.scenario import order_faults


@pytest.fixture
def s3(stack):
    return stack.client("s3")


@pytest.fixture
def config(new_client):
    return new_client(trigger_on_done_file=True)


@pytest.fixture
def pickup(config, s3) -> Pickup:
    return Pickup(config, s3)


def put(s3, key: str, body: bytes = b"x", bucket: str = PICKUP_BUCKET) -> str:
    return s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"].strip('"')


def exists(s3, key: str, bucket: str = PICKUP_BUCKET) -> bool:
    return s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] > 0


def test_r4_5_the_done_file_folder_markers_and_other_prefixes_are_not_files(config, pickup, s3):
    prefix = config.pickup.prefix
    for key in (f"{prefix}a.csv", f"{prefix}sub/b.csv", config.done_file_key, f"x{prefix}c.csv"):
        put(s3, key)
    for marker in (prefix, f"{prefix}sub/"):
        put(s3, marker, b"")
    assert [file.name for file in pickup.files()] == ["a.csv", "sub/b.csv"]


def test_a_key_that_ends_with_a_slash_but_has_content_is_a_file(config, pickup, s3):
    put(s3, f"{config.pickup.prefix}report/", b"1,2,3")
    put(s3, config.pickup.prefix, b"4,5,6")
    assert sorted(file.name for file in pickup.files()) == ["", "report/"]


def test_more_than_one_page_is_listed(config, pickup, s3):
    for number in range(1005):
        put(s3, f"{config.pickup.prefix}{number:04d}", str(number).encode())
    assert len(list(pickup.files())) == 1005


def test_a_file_is_removed_only_with_its_etag(config, pickup, s3):
    key = f"{config.pickup.prefix}a.csv"
    old = put(s3, key, b"old")
    put(s3, key, b"new")
    assert pickup.remove([(key, old)]) == [key]
    assert exists(s3, key)


def test_what_is_gone_counts_as_removed(config, pickup):
    assert pickup.remove([(f"{config.pickup.prefix}gone.csv", "0" * 32)]) == []


def test_r4_5_the_done_file_is_removed_if_it_is_still_the_same(config, pickup, s3):
    put(s3, config.done_file_key, b"")
    seen = pickup.done_file()
    assert pickup.remove_done_file(seen)
    assert not exists(s3, config.done_file_key)


def test_r4_5_a_newer_done_file_stays_even_if_it_is_as_empty(config, pickup, s3):
    put(s3, config.done_file_key, b"")
    seen = pickup.done_file()
    assert not pickup.remove_done_file(replace(seen, last_modified=seen.last_modified.replace(year=2020), by_kms=False))
    assert exists(s3, config.done_file_key)


class DoneFiles:
    """The done file of one client, and whoever else puts one."""

    def __init__(self, new_client, stack, kind: str) -> None:
        self.s3 = stack.client("s3")
        self.bucket = make_bucket(self.s3, kind)
        self.key = "set/H1234.done"
        config = new_client(
            client_h_number="H1234", trigger_on_done_file=True, pickup={"bucket": self.bucket, "prefix": "set/"}
        )
        self.theirs = stack.client("s3")
        self.pickup = Pickup(config, self.theirs)

    def put(self) -> str | None:
        return self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=b"").get("VersionId")

    def current(self) -> str | None:
        """The version that is there now; None if no done file is."""
        seen = self.pickup.done_file()
        return (seen.version_id or "unversioned") if seen else None

    def meanwhile(self, action) -> None:
        """Do this once, in the moment before the pick-up's next delete reaches S3."""
        actions = [action]

        def first(**_: object) -> None:
            if actions:
                actions.pop()()

        self.theirs.meta.events.register("before-send.s3.DeleteObject", first)


@pytest.fixture
def done_files(new_client, stack) -> Iterator[Callable[[str], DoneFiles]]:
    yield lambda kind: DoneFiles(new_client, stack, kind)
    order_faults(stack.aws_url)


@pytest.mark.parametrize("kind", KINDS)
def test_r4_5_removing_the_done_file_uncovers_no_older_one(done_files, kind):
    files = done_files(kind)
    for _ in range(3):
        files.put()
    assert files.pickup.remove_done_file(files.pickup.done_file())
    assert files.current() is None
    files.put()
    assert files.pickup.remove_done_file(files.pickup.done_file())
    assert files.current() is None


@pytest.mark.parametrize("kind", KINDS)
def test_r4_5_a_done_file_from_before_versioning_changed_is_removed_alike(done_files, kind):
    files = done_files(kind)
    files.put()
    keep_versions(files.s3, files.bucket)
    files.put()
    suspend_versions(files.s3, files.bucket)
    files.put()
    assert files.pickup.remove_done_file(files.pickup.done_file())
    assert files.current() is None


@pytest.mark.parametrize("kind", KINDS)
def test_r4_5_a_done_file_put_after_the_look_stays(done_files, kind):
    files = done_files(kind)
    files.put()
    seen = files.pickup.done_file()
    wait_until(lambda: int(time.time()) > seen.last_modified.timestamp(), "the next second", seconds=5, interval=0.05)
    newer = files.put()
    assert not files.pickup.remove_done_file(seen)
    assert files.current() == newer or files.current() == "unversioned"


# Where neither versions nor KMS tell two empty files apart, the moment between look and delete stays.
@pytest.mark.parametrize("kind", ["versioned", "versioned, KMS", "suspended, KMS", "KMS"])
def test_r4_5_a_done_file_put_in_the_moment_of_removal_stays(done_files, kind):
    files = done_files(kind)
    files.put()
    newer: list[str | None] = []
    files.meanwhile(lambda: newer.append(files.put()))
    assert not files.pickup.remove_done_file(files.pickup.done_file())
    assert files.current() == (newer[0] or "unversioned")
    assert files.pickup.remove_done_file(files.pickup.done_file())
    assert files.current() is None


def test_r4_5_a_version_that_somebody_deleted_is_not_brought_back(done_files):
    files = done_files("versioned")
    files.put()
    files.meanwhile(lambda: (files.put(), files.s3.delete_object(Bucket=files.bucket, Key=files.key)))
    assert not files.pickup.remove_done_file(files.pickup.done_file())
    assert files.current() is None


def test_r4_5_no_permission_for_versions_is_needed(done_files, stack):
    files = done_files("versioned")
    files.put()
    files.put()
    denied = {"call": r"s3\.(ListBucketVersions|DeleteObjectVersion)", "status": 403, "code": "AccessDenied"}
    order_faults(stack.aws_url, [{**denied, "times": 0}])
    assert files.pickup.remove_done_file(files.pickup.done_file())
    assert order_faults(stack.aws_url) == ["s3.ListBucketVersions"]
    assert files.current() is None


def test_r4_5_a_conflict_is_not_taken_for_a_newer_done_file(done_files, stack):
    files = done_files("KMS")
    files.put()
    conflict = {"call": r"s3\.DeleteObject$", "status": 409, "code": "ConditionalRequestConflict"}
    order_faults(stack.aws_url, [{**conflict, "times": 2}])
    assert files.pickup.remove_done_file(files.pickup.done_file())
    assert files.current() is None
    files.put()
    order_faults(stack.aws_url, [{**conflict, "times": 0}])
    with pytest.raises(PickupError, match="written or deleted by someone else"):
        files.pickup.remove_done_file(files.pickup.done_file())
    order_faults(stack.aws_url)
    assert files.current() is not None


def test_a_client_without_done_file_never_asks_for_it(new_client, s3, stack):
    config = new_client(trigger_on_done_file=False)
    httpx.delete(f"{stack.aws_url}/_local/requests")
    assert Pickup(config, s3).done_file() is None
    assert httpx.get(f"{stack.aws_url}/_local/requests").json() == {}
