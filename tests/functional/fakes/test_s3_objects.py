"""Whether the S3 fake is as unkind as S3: ETags, checksums, conditions, dates. Each test names what it follows."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from collections.abc import Callable

import boto3
import httpx
import pytest
from awscrt import checksums
from botocore.config import Config
from botocore.exceptions import ClientError

from local.stand_ins import encrypt_by_kms

MIB = 1024**2
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def s3(aws):
    once = Config(retries={"total_max_attempts": 1})  # a BadDigest would be tried again, after pauses
    return boto3.session.Session("local", "local").client("s3", "us-east-1", endpoint_url=aws.aws_url, config=once)


@pytest.fixture
def bucket(s3) -> Callable[..., str]:
    """Makes a bucket, plain or with ``aws:kms`` as its default."""

    def make(*, kms: bool = False) -> str:
        name = f"s3-fake-{next(_numbers)}"
        s3.create_bucket(Bucket=name)
        if kms:
            encrypt_by_kms(s3, name)
        return name

    return make


def refused(call: Callable[..., object], **request: object) -> tuple[int, str]:
    """Status and code of a call that S3 has to refuse."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"], caught.value.response["Error"]["Code"]


def in_parts(s3, bucket: str, key: str, content: bytes, size: int, **begin: str) -> dict:
    """Upload in parts of that size; returns what HeadObject says then."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **begin)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(content), size), 1):
        place = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        etag = s3.upload_part(**place, Body=content[start : start + size])["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    return s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")


# -- ETags: API reference, "Object", ETag ----------------------------------------------------------------------------


def test_without_kms_the_etag_of_one_request_is_the_md5(s3, bucket):
    there = bucket()
    etag = s3.put_object(Bucket=there, Key="a", Body=b"rows")["ETag"]
    assert etag == f'"{hashlib.md5(b"rows", usedforsecurity=False).hexdigest()}"'
    assert s3.copy_object(Bucket=there, Key="b", CopySource=f"{there}/a")["CopyObjectResult"]["ETag"] == etag


def test_under_kms_no_etag_says_anything_of_the_content(s3, bucket):
    there, plain = bucket(kms=True), bucket()
    md5 = s3.put_object(Bucket=plain, Key="a", Body=b"rows")["ETag"]
    etags = {md5}
    etags |= {s3.put_object(Bucket=there, Key="a", Body=b"rows")["ETag"] for _ in range(3)}
    etags.add(s3.copy_object(Bucket=there, Key="b", CopySource=f"{plain}/a")["CopyObjectResult"]["ETag"])
    etags.add(s3.copy_object(Bucket=there, Key="b", CopySource=f"{there}/a")["CopyObjectResult"]["ETag"])
    etags.add(s3.put_object(Bucket=plain, Key="c", Body=b"rows", ServerSideEncryption="aws:kms")["ETag"])
    assert len(etags) == 7
    assert s3.head_object(Bucket=there, Key="a")["ServerSideEncryption"] == "aws:kms"


def test_in_parts_the_etag_depends_on_their_sizes_and_under_kms_on_nothing(s3, bucket):
    content = bytes(12 * MIB)
    plain, kms = bucket(), bucket(kms=True)
    five, six = (in_parts(s3, plain, "a", content, size * MIB)["ETag"] for size in (5, 6))
    assert (five[-3:], six[-3:]) == ('-3"', '-2"')
    assert in_parts(s3, plain, "b", content, 6 * MIB)["ETag"] == six
    once, again = (in_parts(s3, kms, "a", content, 6 * MIB)["ETag"] for _ in range(2))
    assert once != again
    assert six not in (once, again)
    assert once.endswith('-2"')


# -- Checksums: User Guide, "Checking object integrity in Amazon S3" --------------------------------------------------


def crc64(content: bytes) -> str:
    return base64.b64encode(checksums.crc64nvme(content).to_bytes(8, "big")).decode()


def test_every_object_has_the_checksum_that_was_chosen_else_crc64nvme(s3, bucket, aws):
    there = bucket(kms=True)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": there, "Key": "plain"})
    httpx.put(url, content=b"rows").raise_for_status()  # an uploader that knows no checksums
    head = s3.head_object(Bucket=there, Key="plain", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (crc64(b"rows"), "FULL_OBJECT")
    s3.put_object(Bucket=there, Key="chosen", Body=b"rows", ChecksumAlgorithm="SHA256")
    head = s3.head_object(Bucket=there, Key="chosen", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"rows").digest()).decode()
    assert "ChecksumCRC64NVME" not in head


def test_a_checksum_is_only_answered_to_who_asks_for_it(s3, bucket):
    there = bucket()
    s3.put_object(Bucket=there, Key="a", Body=b"rows")
    assert not [name for name in s3.head_object(Bucket=there, Key="a") if name.startswith("Checksum")]
    # botocore asks with every GetObject.
    whole = s3.get_object(Bucket=there, Key="a")
    part = s3.get_object(Bucket=there, Key="a", Range="bytes=1-2")
    assert (whole["ChecksumType"], whole["ChecksumCRC32"][-1]) == ("FULL_OBJECT", "=")
    assert not [name for name in part if name.startswith("ChecksumCRC")]


@pytest.mark.parametrize(
    ("chosen", "answered", "kind"),
    [
        ({}, "ChecksumCRC64NVME", "FULL_OBJECT"),
        ({"ChecksumAlgorithm": "CRC32"}, "ChecksumCRC32", "COMPOSITE"),  # as boto3's upload_file asks for it
        ({"ChecksumAlgorithm": "SHA256"}, "ChecksumSHA256", "COMPOSITE"),
        ({"ChecksumAlgorithm": "CRC64NVME"}, "ChecksumCRC64NVME", "FULL_OBJECT"),
        ({"ChecksumAlgorithm": "CRC32C", "ChecksumType": "FULL_OBJECT"}, "ChecksumCRC32C", "FULL_OBJECT"),
    ],
)
def test_in_parts_the_checksum_is_composite_unless_asked_otherwise(s3, bucket, chosen, answered, kind):
    content = bytes(range(256)) * 24 * 1024
    head = in_parts(s3, bucket(kms=True), "a", content, 5 * MIB, **chosen)
    assert head["ChecksumType"] == kind
    assert head[answered].endswith("-2") == (kind == "COMPOSITE")
    if answered == "ChecksumCRC64NVME":
        assert head[answered] == crc64(content)
    if answered == "ChecksumCRC32C":
        assert head[answered] == base64.b64encode(checksums.crc32c(content).to_bytes(4, "big")).decode()


def test_a_copy_of_an_object_in_parts_has_a_checksum_of_the_whole(s3, bucket):
    there, content = bucket(kms=True), bytes(6 * MIB)
    in_parts(s3, there, "a", content, 5 * MIB, ChecksumAlgorithm="SHA256")
    s3.copy_object(Bucket=there, Key="b", CopySource=f"{there}/a")
    head = s3.head_object(Bucket=there, Key="b", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_sha_knows_no_full_object(s3, bucket):
    request = {"Bucket": bucket(), "Key": "a", "ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}
    assert refused(s3.create_multipart_upload, **request) == (400, "InvalidRequest")


def test_an_old_object_has_no_checksum(s3, bucket, aws):
    there = bucket()
    s3.put_object(Bucket=there, Key="a", Body=b"rows")
    httpx.post(f"{aws.aws_url}/_local/old-objects", json=[{"bucket": there, "key": "a"}]).raise_for_status()
    head = s3.head_object(Bucket=there, Key="a", ChecksumMode="ENABLED")
    assert not [name for name in head if name.startswith("Checksum")]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"ContentMD5": base64.b64encode(bytes(16)).decode()}, "BadDigest"),
        ({"ContentMD5": "bm90IGFuIE1ENQ=="}, "InvalidDigest"),
        ({"ChecksumCRC32C": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumSHA256": base64.b64encode(bytes(32)).decode()}, "BadDigest"),
    ],
)
def test_what_does_not_arrive_as_it_was_sent_is_refused(s3, bucket, wrong, code):
    there = bucket()
    assert refused(s3.put_object, Bucket=there, Key="a", Body=b"rows", **wrong) == (400, code)
    assert refused(s3.head_object, Bucket=there, Key="a")[0] == 404


def test_an_upload_in_parts_is_completed_only_with_its_own_checksum_type_and_size(s3, bucket):
    there = bucket()
    begin = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    upload = s3.create_multipart_upload(Bucket=there, Key="a", **begin)["UploadId"]
    place = {"Bucket": there, "Key": "a", "UploadId": upload}
    wrong = {"ContentMD5": base64.b64encode(bytes(16)).decode()}
    assert refused(s3.upload_part, **place, PartNumber=1, Body=b"rows", **wrong) == (400, "BadDigest")
    etag = s3.upload_part(**place, PartNumber=1, Body=b"rows")["ETag"]
    place["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    complete = s3.complete_multipart_upload
    assert refused(complete, **place, ChecksumCRC64NVME=crc64(b"other")) == (400, "BadDigest")
    assert refused(complete, **place, ChecksumType="COMPOSITE") == (400, "BadDigest")
    assert refused(complete, **place, MpuObjectSize=5) == (400, "InvalidRequest")
    assert refused(s3.head_object, Bucket=there, Key="a")[0] == 404
    complete(**place, ChecksumCRC64NVME=crc64(b"rows"), MpuObjectSize=4, ChecksumType="FULL_OBJECT")
    assert refused(s3.upload_part, Bucket=there, Key="a", UploadId="gone", PartNumber=1, Body=b"")[1] == "NoSuchUpload"


# -- Conditions: User Guide, "Add preconditions to S3 operations with conditional requests" ---------------------------


def test_a_copy_takes_only_the_source_that_was_looked_at(s3, bucket):
    there = bucket(kms=True)
    old = s3.put_object(Bucket=there, Key="a", Body=b"rows")["ETag"]
    new = s3.put_object(Bucket=there, Key="a", Body=b"rows")["ETag"]
    request = {"Bucket": there, "Key": "b", "CopySource": f"{there}/a"}
    assert refused(s3.copy_object, **request, CopySourceIfMatch=old) == (412, "PreconditionFailed")
    assert refused(s3.copy_object, **request, CopySourceIfNoneMatch=new) == (412, "PreconditionFailed")
    assert refused(s3.head_object, Bucket=there, Key="b")[0] == 404
    s3.copy_object(**request, CopySourceIfMatch=new)
    upload = s3.create_multipart_upload(Bucket=there, Key="c")["UploadId"]
    request |= {"Key": "c", "UploadId": upload, "PartNumber": 1}
    assert refused(s3.upload_part_copy, **request, CopySourceIfMatch=old) == (412, "PreconditionFailed")
    s3.upload_part_copy(**request, CopySourceIfMatch=new)
    request["CopySource"] = f"{there}/gone"
    assert refused(s3.upload_part_copy, **request) == (404, "NoSuchKey")


def test_every_write_can_be_bound_to_what_is_at_its_place(s3, bucket):
    there = bucket()
    old = s3.put_object(Bucket=there, Key="a", Body=b"old")["ETag"]
    s3.put_object(Bucket=there, Key="source", Body=b"source")
    upload = s3.create_multipart_upload(Bucket=there, Key="a")["UploadId"]
    part = s3.upload_part(Bucket=there, Key="a", UploadId=upload, PartNumber=1, Body=b"new")["ETag"]
    parts = {"UploadId": upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part}]}}
    for call, request in (
        (s3.put_object, {"Body": b"new"}),
        (s3.copy_object, {"CopySource": f"{there}/source"}),
        (s3.complete_multipart_upload, parts),
    ):
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"0"'}):
            assert refused(call, Bucket=there, Key="a", **request, **condition) == (412, "PreconditionFailed")
    assert s3.head_object(Bucket=there, Key="a")["ETag"] == old
    s3.copy_object(Bucket=there, Key="a", CopySource=f"{there}/source", IfMatch=old)
    assert refused(s3.copy_object, Bucket=there, Key="b", CopySource=f"{there}/source", IfMatch=old)[0] == 404


def test_a_conditional_delete_goes_by_the_etag(s3, bucket):
    there = bucket()
    etag = s3.put_object(Bucket=there, Key="a", Body=b"rows")["ETag"]
    assert refused(s3.delete_object, Bucket=there, Key="a", IfMatch='"0"') == (412, "PreconditionFailed")
    assert refused(s3.delete_object, Bucket=there, Key="gone", IfMatch=etag) == (404, "NoSuchKey")
    s3.delete_object(Bucket=there, Key="a", IfMatch="*")
    assert refused(s3.head_object, Bucket=there, Key="a")[0] == 404


# -- Dates: User Guide, "Working with object metadata", Last-Modified --------------------------------------------------


def test_what_came_in_parts_has_the_date_on_which_its_upload_began(s3, bucket):
    there = bucket()
    upload = s3.create_multipart_upload(Bucket=there, Key="a")["UploadId"]
    began = time.time()
    etag = s3.upload_part(Bucket=there, Key="a", UploadId=upload, PartNumber=1, Body=b"rows")["ETag"]
    time.sleep(1.1)
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket=there, Key="a", UploadId=upload, MultipartUpload=parts)
    assert s3.head_object(Bucket=there, Key="a")["LastModified"].timestamp() <= began
