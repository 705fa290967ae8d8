"""Deliveries of small and resumed objects where S3's responses prove little, or come too late (R6.4, R6.7)."""

from __future__ import annotations

from typing import Any

import pytest

from client_delivery.transfer.contract import IntegrityError, Job, Refused, SourceObject
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.reading.parts import PartLimits, Parts
from client_delivery.transfer.s3.destination import S3Destination
from tests.unit.transfer.scripted_service import NS, Reply, error, s3_config

CONTENT = b"0123456789"
SOURCE = SourceObject("pickup", "claims.csv", "e" * 32, len(CONTENT))
READ = Reply(200, CONTENT)
FORBIDDEN = Reply(403)


class Journal:
    """Keeps what a delivery notes."""

    def __init__(self) -> None:
        self.notes: list[dict[str, Any]] = []

    def checkpoint(self, state: Any) -> None:
        self.notes.append(dict(state))

    def confirm(self) -> None: ...

    def resumed(self, there: int) -> None: ...

    def progress(self, moved: int) -> None: ...


def deliver(service, *, resume: dict[str, Any] | None = None, small: int = 100, copies: bool = False):
    access = service.s3()
    destination = S3Destination(s3_config(), access, access, small=small, copies=copies, limits=PartLimits())
    return destination.deliver(Job("claims.csv", SOURCE, 1 if resume is None else 2, resume), Journal())


def crc32c() -> str:
    digest = Digest()
    digest.update(CONTENT)
    return digest.crc32c


PROVEN = {"etag": '"new"', "x-amz-checksum-crc32c": crc32c(), "x-amz-checksum-type": "FULL_OBJECT"}
TAG = {"etag": '"new"'}
"""What an S3-compatible service says that computes no checksums."""


def test_a_service_without_checksums_is_asked_for_the_size(service):
    service.says(READ, Reply(200, headers=TAG), Reply(200, headers={**TAG, "content-length": "10"}))
    assert deliver(service).verified_by == "size"


def test_an_object_of_another_size_does_not_count_as_delivered(service):
    service.says(READ, Reply(200, headers=TAG), Reply(200, headers={**TAG, "content-length": "9"}))
    with pytest.raises(IntegrityError, match=r"s3://bucket/in/claims\.csv has 9 bytes, but 10 were sent"):
        deliver(service)


def test_where_nobody_may_look_the_response_is_the_proof(service):
    service.says(READ, Reply(200, headers=TAG), FORBIDDEN)
    receipt = deliver(service)
    assert (receipt.verified_by, receipt.checksum) == ("acknowledged", f"crc32c:{crc32c()}")


def test_an_object_that_was_overwritten_at_once_is_remarked(service):
    service.says(READ, Reply(200, headers=TAG), Reply(200, headers={"etag": '"other"', "content-length": "10"}))
    assert "Somebody else has overwritten" in (deliver(service).remark or "")


def test_a_request_whose_response_was_lost_is_not_taken_for_a_foreign_file(service):
    """The second try finds an object, and the account may not see whose it is."""
    service.says(READ, error(500, "InternalError"), error(412, "PreconditionFailed"), FORBIDDEN)
    with pytest.raises(Refused, match=r"It is not known whether s3://bucket/in/claims\.csv has arrived"):
        deliver(service)


def test_a_name_that_is_taken_is_refused_where_nobody_may_look(service):
    service.says(READ, error(412, "PreconditionFailed"), FORBIDDEN)
    with pytest.raises(Refused, match="There is already an object at"):
        deliver(service)


def test_a_request_whose_response_was_lost_is_recognized_by_its_checksum(service):
    there = Reply(200, headers={**PROVEN, "content-length": "10"})
    service.says(READ, error(500, "InternalError"), error(412, "PreconditionFailed"), there)
    assert deliver(service).verified_by == "checksum"
    assert [one.method for one in service.asked].count("PUT") == 2


def test_a_copy_that_was_under_way_is_taken_back_and_begun_anew(service):
    service.says(Reply(204), READ, Reply(200, headers=PROVEN))
    assert deliver(service, resume={"upload_id": "u", "copied": True}).verified_by == "checksum"
    assert service.asked[0].path == "/bucket/in/claims.csv?uploadId=u"


def test_an_upload_that_is_gone_with_parts_missing_begins_anew(service):
    """Its parts cannot be listed: it is aborted too, for it may still be there."""
    begun = "<UploadId>new</UploadId>"
    resume = Parts("gone", 1024**2, SOURCE.size, SOURCE.etag).state()
    service.says(
        Reply(404),  # the place is free
        error(404, "NoSuchUpload"),
        Reply(204),
        Reply(200, headers={"content-length": "10"}),  # what the source carries
        Reply(200, f"<ListMultipartUploadsResult {NS}/>".encode()),
        Reply(200, f"<InitiateMultipartUploadResult {NS}>{begun}</InitiateMultipartUploadResult>".encode()),
        READ,
        Reply(200, headers={"etag": '"p1"'}),
        Reply(
            200,
            f"<CompleteMultipartUploadResult {NS}><ETag>new</ETag><ChecksumCRC32C>{crc32c()}</ChecksumCRC32C>"
            "<ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>".encode(),
        ),
    )
    assert deliver(service, resume=resume, small=0).verified_by == "checksum"
    assert [(one.method, one.path.rpartition("?")[2]) for one in service.asked if one.method == "DELETE"] == [
        ("DELETE", "uploadId=gone")
    ]
