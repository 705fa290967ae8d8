"""The S3 engine against implementations of S3 that nobody here wrote (R6.4, R3.5): an independent judge of our fakes.

SeaweedFS verifies every signature, MiniStack none. Where a judge itself is wrong, ``lies.py`` says so.
"""

from __future__ import annotations

import itertools
import os
from typing import Any

import boto3
import pytest

from client_delivery.access.aws import s3_access
from client_delivery.config.destinations import S3Section
from client_delivery.transfer.contract import (
    IntegrityError,
    Interrupted,
    Job,
    Receipt,
    SourceChanged,
    SourceObject,
    TransferError,
)
from client_delivery.transfer.reading.parts import PartLimits
from client_delivery.transfer.s3.destination import S3Destination
from tests.functional.transfer.conftest import MIB, Journal
from tests.judges.conftest import Judge

LARGE = 21 * MIB
_numbers = itertools.count(1)


class Bucket:
    """A source and a target on one judge, and the judge's own client to look at them."""

    def __init__(self) -> None:
        self.client: Any = boto3.client("s3")

    def drop(self, content: bytes, key: str | None = None) -> SourceObject:
        key = key or f"file-{next(_numbers)}.bin"
        put = self.client.put_object(Bucket="source", Key=key, Body=content, ChecksumAlgorithm="CRC32C")
        return SourceObject("source", key, put["ETag"].strip('"'), len(content))

    def there(self, key: str) -> bytes | None:
        try:
            return bytes(self.client.get_object(Bucket="target", Key=key)["Body"].read())
        except self.client.exceptions.NoSuchKey:
            return None

    def open_uploads(self, key: str) -> int:
        uploads = self.client.list_multipart_uploads(Bucket="target").get("Uploads", ())
        return sum(one["Key"] == key for one in uploads)

    def target(self, *, copies: bool = False, **limits: Any) -> S3Destination:
        config = S3Section(
            type="s3", bucket="target", prefix="in/", **({} if copies else {"max_bytes_per_second": 10**12})
        )
        access = s3_access()
        return S3Destination(config, access, access, **limits)


@pytest.fixture
def bucket(judge: Judge) -> Bucket:
    return Bucket()


def content(size: int) -> bytes:
    whole, rest = divmod(size, MIB)
    return os.urandom(MIB) * whole + os.urandom(rest)


def delivered(target: S3Destination, source: SourceObject, name: str | None = None, **job: Any) -> Receipt:
    with target:
        return target.deliver(
            Job(name or source.key, source, **{"token": 1, **job}), job.pop("journal", None) or Journal()
        )


@pytest.mark.parametrize("size", [0, 100_000, LARGE])
@pytest.mark.parametrize("copies", [False, True], ids=["streamed", "copied"])
def test_r6_4_what_arrives_is_what_was_read(bucket, size, copies):
    body = content(size)
    source = bucket.drop(body)
    receipt = delivered(bucket.target(copies=copies), source)
    assert receipt.size == size
    assert receipt.checksum.startswith("crc32c:")
    assert receipt.remark is None, "nobody has overwritten it"
    assert bucket.there(f"in/{source.key}") == body
    assert bucket.open_uploads(f"in/{source.key}") == 0


@pytest.mark.parametrize("size", [100_000, LARGE])
@pytest.mark.parametrize("copies", [False, True], ids=["streamed", "copied"])
def test_an_older_object_of_the_same_name_is_replaced(bucket, size, copies):
    first, second = content(size), content(size + 7)
    source = bucket.drop(first)
    delivered(bucket.target(copies=copies), source)
    newer = bucket.drop(second, source.key)
    delivered(bucket.target(copies=copies), newer, token=2)
    assert bucket.there(f"in/{source.key}") == second


@pytest.mark.parametrize("size", [100_000, LARGE])
def test_r3_5_what_somebody_else_writes_meanwhile_is_not_overwritten(bucket, size):
    """It comes between the last look and the request that makes the file visible."""
    source = bucket.drop(content(size))
    key = f"in/{source.key}"
    theirs = b"somebody else's"
    asked = []

    def somebody_else() -> None:
        asked.append(1)
        if len(asked) == (2 if size == 100_000 else 1):
            bucket.client.put_object(Bucket="target", Key=key, Body=theirs)

    if size == 100_000:
        # A small file is offered as new first, then looked at, and confirmed again.
        bucket.client.put_object(Bucket="target", Key=key, Body=b"an older one")
    with bucket.target() as target, pytest.raises(TransferError, match="written by someone else"):
        target.deliver(Job(source.key, source, token=1), Journal(somebody_else))
    assert bucket.there(key) == theirs


@pytest.mark.parametrize("size", [100_000, LARGE])
def test_r6_4_bytes_that_are_not_what_their_checksum_says_are_refused(bucket, monkeypatch, size):
    source = bucket.drop(content(size))
    monkeypatch.setattr(
        "client_delivery.transfer.s3_wire.chunked._end", lambda checksum: b"0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n"
    )
    with pytest.raises(IntegrityError):
        delivered(bucket.target(), source)
    assert bucket.there(f"in/{source.key}") is None
    assert bucket.open_uploads(f"in/{source.key}") == 0


@pytest.mark.parametrize("copies", [False, True], ids=["streamed", "copied"])
@pytest.mark.parametrize("size", [100_000, LARGE])
def test_r6_4_an_object_that_has_changed_is_never_delivered_in_its_old_name(bucket, size, copies):
    source = bucket.drop(content(size))
    bucket.drop(content(size), source.key)
    with pytest.raises(SourceChanged, match="has changed since it was registered"):
        delivered(bucket.target(copies=copies), source)
    assert bucket.there(f"in/{source.key}") is None


@pytest.mark.parametrize("size", [LARGE])
def test_r6_7_an_interrupted_upload_is_resumed(bucket, size):
    body = content(size)
    source = bucket.drop(body)
    limits = PartLimits(part_size=5 * MIB)

    class Stopped(Journal):
        def progress(self, moved: int) -> None:
            super().progress(moved)
            if self.moved > 12 * MIB:
                raise Interrupted("stop")

    journal = Stopped()
    with bucket.target(limits=limits) as target, pytest.raises(Interrupted):
        target.deliver(Job(source.key, source, token=1), journal)
    assert bucket.there(f"in/{source.key}") is None
    resumed = Journal()
    with bucket.target(limits=limits) as target:
        receipt = target.deliver(Job(source.key, source, token=2, resume=journal.states[-1]), resumed)
    assert receipt.size == size
    assert bucket.there(f"in/{source.key}") == body
    assert bucket.open_uploads(f"in/{source.key}") == 0


@pytest.mark.parametrize("size", [LARGE])
def test_what_will_not_be_resumed_is_aborted(bucket, size):
    source = bucket.drop(content(size))
    states: list[Any] = []

    class Stopped(Journal):
        def confirm(self) -> None:
            raise Interrupted("stop")

    journal = Stopped()
    with bucket.target() as target:
        with pytest.raises(Interrupted):
            target.deliver(Job(source.key, source, token=1), journal)
        assert bucket.open_uploads(f"in/{source.key}") == 1
        states += journal.states
        target.discard(source.key, states[-1])
    assert bucket.open_uploads(f"in/{source.key}") == 0


ODD = ["a b+c.csv", "café 東京.csv", "#1?&=%25.csv", "sub/dir/~x.csv", "q'uote\".csv"]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("copies", [False, True], ids=["streamed", "copied"])
def test_odd_names_arrive_as_they_are(bucket, name, copies):
    source = bucket.drop(b"content", f"{next(_numbers)}/{name}")
    delivered(bucket.target(copies=copies), source, name)
    assert bucket.there(f"in/{name}") == b"content"
    bucket.client.delete_object(Bucket="target", Key=f"in/{name}")


def test_conditional_deletes_spare_what_has_changed(bucket):
    """The pick-up's own request (R4.5, R5.2)."""
    source = bucket.drop(b"one")
    bucket.drop(b"two", source.key)
    with pytest.raises(bucket.client.exceptions.ClientError) as refused:
        bucket.client.delete_object(Bucket="source", Key=source.key, IfMatch=f'"{source.etag}"')
    assert refused.value.response["Error"]["Code"] in ("PreconditionFailed", "412")
    assert bucket.client.get_object(Bucket="source", Key=source.key)["Body"].read() == b"two"
