"""The pick-up over a real S3 API: listing, done file, and removals that never hit another object."""

from __future__ import annotations

import httpx
import pytest

from delivery.pickup import DoneFile, Pickup
from local.stand_ins import PICKUP_BUCKET


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
    for key in (f"{prefix}a.csv", f"{prefix}sub/b.csv", f"{prefix}sub/", config.done_file_key, f"x{prefix}c.csv"):
        put(s3, key)
    assert [file.name for file in pickup.files()] == ["a.csv", "sub/b.csv"]


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
    earlier = DoneFile(seen.key, seen.etag, seen.last_modified.replace(year=2020), None)
    assert not pickup.remove_done_file(earlier)
    assert exists(s3, config.done_file_key)


def test_r4_5_in_a_versioned_bucket_exactly_the_version_seen_is_removed(new_client, s3):
    bucket = "versioned-pickup"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    config = new_client(trigger_on_done_file=True, pickup={"bucket": bucket, "prefix": "v/"})
    pickup = Pickup(config, s3)
    put(s3, config.done_file_key, b"", bucket)
    seen = pickup.done_file()
    put(s3, config.done_file_key, b"", bucket)  # same second, same ETag: only the version tells them apart
    pickup.remove_done_file(seen)
    assert exists(s3, config.done_file_key, bucket)


def test_a_client_without_done_file_never_asks_for_it(new_client, s3, stack):
    config = new_client(trigger_on_done_file=False)
    httpx.delete(f"{stack.aws_url}/_local/requests")
    assert Pickup(config, s3).done_file() is None
    assert httpx.get(f"{stack.aws_url}/_local/requests").json() == {}
