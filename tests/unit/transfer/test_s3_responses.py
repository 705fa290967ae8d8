"""S3's rarer responses to what the engine asks of it, while it reads, copies and lists (R6.4)."""

from __future__ import annotations

import pytest

from client_delivery.transfer.contract import IntegrityError, Job, SourceObject, TransferError
from client_delivery.transfer.objects.api import Occupied
from client_delivery.transfer.reading.carried import NOTHING
from client_delivery.transfer.reading.source import Source
from client_delivery.transfer.s3 import copying
from client_delivery.transfer.s3.api import CopyDenied, S3Api
from client_delivery.transfer.s3.copying import copy
from client_delivery.transfer.s3.destination import _Copies
from client_delivery.transfer.throttle import Throttle
from tests.unit.transfer.scripted_service import NS, Reply, error, s3_config
from tests.unit.transfer.test_batch import FakeJournal

SOURCE = SourceObject("pickup", "in/claims.csv", "e" * 32, 10)
COPIED = Reply(200, f'<CopyPartResult {NS}><ETag>"p1"</ETag></CopyPartResult>'.encode())
LATE = Reply(200, b"<Error><Code>InternalError</Code></Error>")
"""S3 says 200 before it copies: https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html."""


def read(service, start: int = 0, end: int = SOURCE.size) -> bytes:
    return b"".join(map(bytes, Source(service.s3(), SOURCE).read(start, end)))


# -- reading -----------------------------------------------------------------------------------------------------------


def test_an_archived_object_is_named_with_what_to_do(service):
    service.says(error(403, "InvalidObjectState", "The operation is not valid for the object's storage class"))
    with pytest.raises(TransferError, match=r"archived and cannot be read\. Restore it, then clear the run"):
        read(service)


def test_a_bucket_elsewhere_is_named_with_its_region(service):
    service.says(error(403, "AccessDenied", "Access Denied", x_amz_bucket_region="eu-central-1"))
    with pytest.raises(TransferError, match=r"Access Denied; the bucket is in eu-central-1: is pickup\.region right"):
        read(service)


def test_a_refusal_in_the_right_region_speaks_of_no_region(service):
    service.says(error(403, "AccessDenied", "Access Denied", x_amz_bucket_region="us-east-1"))
    with pytest.raises(TransferError, match=r"refuses to return s3://pickup/in/claims\.csv: Access Denied \[Access"):
        read(service)


@pytest.mark.parametrize(
    ("reply", "start"),
    [
        (Reply(200, b"0123456789"), 4),  # a proxy that does not know ranges: the wrong bytes would follow
        (Reply(206, b"45678"), 4),  # fewer than were asked for
        (Reply(206, b"0123456789"), 0),  # the whole was asked for, and this says that it is a part
    ],
)
def test_a_response_with_other_bytes_than_were_asked_for_is_not_taken(service, reply, start):
    service.says(reply)
    with pytest.raises(IntegrityError, match="S3 responded to a request for"):
        read(service, start)


def test_a_source_whose_bytes_have_another_checksum_is_refused(service):
    service.says(Reply(200, b"0123456789", {"x-amz-checksum-crc32c": "AAAAAA=="}))
    with pytest.raises(IntegrityError, match="but S3 says 10 bytes and crc32c:AAAAAA=="):
        Source(service.s3(), SOURCE).whole(Throttle(None))


# -- copies by S3 itself -----------------------------------------------------------------------------------------------


def copy_part(service) -> str:
    return S3Api(s3_config(), service.s3()).copy_part("k", "u", 1, SOURCE, (0, 10))


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (error(403, "AccessDenied"), CopyDenied),
        (error(501, "NotImplemented"), CopyDenied),
        (error(412, "PreconditionFailed"), Occupied),
        (error(404, "NoSuchUpload"), Occupied),
    ],
)
def test_a_part_that_s3_does_not_copy_is_sent_or_looked_at_instead(service, reply, raised):
    service.says(reply)
    with pytest.raises(raised):
        copy_part(service)


def test_an_error_after_a_200_is_no_copy(service):
    service.says(LATE, Reply(200, b"  "), COPIED)
    assert copy_part(service) == '"p1"'
    assert {one.headers["x-amz-copy-source-if-match"] for one in service.asked} == {f'"{SOURCE.etag}"'}
    assert {one.headers["x-amz-copy-source-range"] for one in service.asked} == {"bytes=0-9"}


def test_a_part_that_never_copies_is_left_to_the_next_attempt(service):
    service.says(*[LATE] * 5)
    with pytest.raises(TransferError, match=r"S3 did not copy part 1 of s3://bucket/k\. It will be retried"):
        copy_part(service)


def test_a_later_attempt_at_copying_removes_the_uploads_of_those_that_died(service, monkeypatch):
    monkeypatch.setattr(copying, "_WHOLE", 4)
    uploads = "".join(
        f"<Upload><Key>{key}</Key><UploadId>{upload}</UploadId></Upload>"
        for key, upload in (("in/claims.csv", "mine"), ("in/claims.csv.old", "another's"))
    )
    service.says(
        Reply(200, f"<ListMultipartUploadsResult {NS}>{uploads}</ListMultipartUploadsResult>".encode()),
        Reply(204),
        Reply(
            200,
            f"<InitiateMultipartUploadResult {NS}><UploadId>new</UploadId></InitiateMultipartUploadResult>".encode(),
        ),
        error(403, "AccessDenied"),
        Reply(204),
    )
    api = S3Api(s3_config(), service.s3())
    with pytest.raises(CopyDenied):
        copy(api, "in/claims.csv", Job("claims.csv", SOURCE, 2), FakeJournal(), own=None, before=None, about=NOTHING)
    aborted = [one.path for one in service.asked if one.method == "DELETE"]
    assert aborted == ["/bucket/in/claims.csv?uploadId=mine", "/bucket/in/claims.csv?uploadId=new"]


def test_one_object_that_may_not_be_copied_says_nothing_of_the_others():
    copies = _Copies(wanted=True)
    copies.refused()
    assert copies.wanted
    copies.made()
    for _ in range(10):
        copies.refused()
    assert copies.wanted


def test_where_no_copy_is_ever_made_s3_is_not_asked_for_each_file():
    copies = _Copies(wanted=True)
    for _ in range(10):
        copies.refused()
    assert not copies.wanted


# -- what has arrived --------------------------------------------------------------------------------------------------


def test_the_parts_of_all_pages_are_found(service):
    def page(number: int, *, more: bool) -> Reply:
        part = f"<Part><PartNumber>{number}</PartNumber><ETag>e{number}</ETag></Part>"
        marks = f"<IsTruncated>{str(more).lower()}</IsTruncated><NextPartNumberMarker>{number}</NextPartNumberMarker>"
        return Reply(200, f"<ListPartsResult {NS}>{marks}{part}</ListPartsResult>".encode())

    service.says(page(1, more=True), page(1001, more=False))
    assert S3Api(s3_config(), service.s3()).parts("k", "u") == {1: "e1", 1001: "e1001"}
    assert "part-number-marker=1" in service.asked[1].path
