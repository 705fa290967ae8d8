"""Whether the S3 fake keeps versions as S3 does.

User Guide: "Deleting object versions from a versioning-enabled bucket", "Working with objects in a versioning-suspended
bucket", "How to perform conditional deletes"; API reference, "DeleteObject".
"""

from __future__ import annotations

import itertools

import pytest
from botocore.exceptions import ClientError

from local.stand_ins import keep_versions

_numbers = itertools.count(1)


class Bucket:
    """One key in a bucket of its own."""

    def __init__(self, s3, name: str) -> None:
        self.s3 = s3
        self.name = name
        s3.create_bucket(Bucket=name)

    def put(self, content: bytes) -> str | None:
        return self.s3.put_object(Bucket=self.name, Key="k", Body=content).get("VersionId")

    def delete(self, **options: str) -> dict:
        answer = self.s3.delete_object(Bucket=self.name, Key="k", **options)
        return {name: answer[name] for name in ("VersionId", "DeleteMarker") if name in answer}

    def content(self, **options: str) -> bytes | None:
        try:
            return self.s3.get_object(Bucket=self.name, Key="k", **options)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None

    def suspend(self) -> None:
        self.s3.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Suspended"})

    def versions(self) -> list[tuple[str, bool]]:
        """Version ids, and whether it is a delete marker; the newest first."""
        page = self.s3.list_object_versions(Bucket=self.name, Prefix="k")
        rows = [(row, False) for row in page.get("Versions", ())] + [
            (row, True) for row in page.get("DeleteMarkers", ())
        ]
        assert sum(row["IsLatest"] for row, _ in rows) == bool(rows)
        rows.sort(key=lambda pair: not pair[0]["IsLatest"])
        return [(row["VersionId"], marker) for row, marker in rows]


@pytest.fixture
def plain(aws) -> Bucket:
    return Bucket(aws.client("s3"), f"versions-{next(_numbers)}")


@pytest.fixture
def versioned(plain) -> Bucket:
    keep_versions(plain.s3, plain.name)
    return plain


def test_a_delete_puts_a_marker_and_uncovers_nothing(versioned):
    first, second = versioned.put(b"1"), versioned.put(b"2")
    marker = versioned.delete()
    assert marker["DeleteMarker"]
    assert versioned.content() is None
    assert [versioned.content(VersionId=one) for one in (first, second)] == [b"1", b"2"]
    assert set(versioned.versions()) == {(marker["VersionId"], True), (first, False), (second, False)}


def test_a_delete_of_a_version_uncovers_the_one_before(versioned):
    first, second = versioned.put(b"1"), versioned.put(b"2")
    versioned.delete(VersionId=second)
    assert versioned.content() == b"1"
    versioned.delete(VersionId=first)
    assert versioned.content() is None
    assert versioned.versions() == []


def test_a_delete_of_a_marker_uncovers_the_object(versioned):
    versioned.put(b"1")
    marker = versioned.delete()["VersionId"]
    assert versioned.delete(VersionId=marker)["DeleteMarker"]
    assert versioned.content() == b"1"


def test_a_delete_puts_a_marker_where_no_object_ever_was(versioned):
    marker = versioned.delete()
    assert versioned.versions() == [(marker["VersionId"], True)]


def test_deleting_what_is_gone_succeeds(versioned):
    first = versioned.put(b"1")
    versioned.delete(VersionId=first)
    assert "DeleteMarker" not in versioned.delete(VersionId=first)


def test_a_condition_looks_at_the_current_version_only(versioned):
    versioned.put(b"1")
    old = versioned.s3.head_object(Bucket=versioned.name, Key="k")["ETag"]
    versioned.put(b"2")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        versioned.delete(IfMatch=old)
    new = versioned.s3.head_object(Bucket=versioned.name, Key="k")["ETag"]
    assert versioned.delete(IfMatch=new)["DeleteMarker"]
    with pytest.raises(ClientError, match="PreconditionFailed"):
        versioned.delete(IfMatch=new)  # the current version is the marker now
    assert len(versioned.versions()) == 3


def test_suspended_a_write_and_a_delete_replace_the_version_null_only(versioned):
    first = versioned.put(b"1")
    versioned.suspend()
    assert (versioned.put(b"2"), versioned.put(b"3")) == ("null", "null")
    assert versioned.versions() == [("null", False), (first, False)]
    head = versioned.s3.head_object(Bucket=versioned.name, Key="k")
    assert head["VersionId"] == "null"
    assert versioned.delete() == {"VersionId": "null", "DeleteMarker": True}
    assert versioned.versions() == [("null", True), (first, False)]
    assert (versioned.content(), versioned.content(VersionId=first)) == (None, b"1")
    versioned.delete(VersionId="null")
    assert versioned.content() == b"1"


def test_suspended_a_version_can_be_read_and_deleted_by_its_id(versioned):
    first, second = versioned.put(b"1"), versioned.put(b"2")
    versioned.suspend()
    assert versioned.s3.head_object(Bucket=versioned.name, Key="k", VersionId=first)["ContentLength"] == 1
    versioned.delete(VersionId=second)
    assert versioned.content() == b"1"


def test_what_was_there_before_versioning_is_the_version_null(plain):
    assert plain.put(b"0") is None
    assert "VersionId" not in plain.s3.head_object(Bucket=plain.name, Key="k")
    keep_versions(plain.s3, plain.name)
    assert plain.s3.head_object(Bucket=plain.name, Key="k")["VersionId"] == "null"
    first = plain.put(b"1")
    assert plain.content(VersionId="null") == b"0"
    plain.delete(VersionId=first)
    assert plain.content() == b"0"


def test_without_versioning_a_delete_is_for_good(plain):
    plain.put(b"1")
    assert plain.delete() == {}
    assert plain.versions() == []


def test_versions_are_listed_page_by_page(versioned):
    ids = [versioned.put(bytes([number])) for number in range(5)]
    pages = versioned.s3.get_paginator("list_object_versions").paginate(
        Bucket=versioned.name, PaginationConfig={"PageSize": 2}
    )
    assert [version["VersionId"] for page in pages for version in page.get("Versions", ())] == ids[::-1]
