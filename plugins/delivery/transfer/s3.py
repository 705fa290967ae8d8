"""Another S3 location (R1.3): copied by S3 itself where the writing role may read the source, streamed otherwise.

A copy moves no bytes through here. Either way S3 computes a CRC32C of what it stores, large objects go in parts, and
the object appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

from delivery.transfer.contract import (
    DestinationUnavailable,
    IntegrityError,
    Job,
    Journal,
    Receipt,
    SourceChanged,
    TransferError,
)
from delivery.transfer.integrity import Crc32c, encode, require_equal
from delivery.transfer.naming import object_key
from delivery.transfer.parts import PartLimits, Parts, upload_parts
from delivery.transfer.source import Source, require_s3_checksum
from delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from delivery.config.model import S3Destination

_SMALL = 8 * 1024**2
_WHOLE_COPY = 64 * 1024**2
"""Up to this size one CopyObject; above, parts are copied side by side. S3's own limit is 5 GiB."""
_COPY_STREAMS = 32


class S3Target:
    """One client's bucket and prefix in S3."""

    parallel_jobs = 16

    def __init__(
        self,
        config: S3Destination,
        source_s3: S3Client,
        destination_s3: S3Client,
        *,
        small: int = _SMALL,
        whole_copy: int = _WHOLE_COPY,
        limits: PartLimits | None = None,
    ) -> None:
        self._config = config
        self._source_s3 = source_s3
        self._s3 = destination_s3
        self._small = small
        self._whole_copy = whole_copy
        self._limits = limits or PartLimits()
        self._throttle = Throttle(config.max_bytes_per_second)
        # A bandwidth limit can only be kept for bytes that pass through here.
        self._may_copy = config.max_bytes_per_second is None

    def __enter__(self) -> Self:
        # Looking at the bucket would need a permission that delivering does not: the first file shows if it is there.
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file."""
        key = object_key(self._config.prefix, job.name)
        source = Source(self._source_s3, job.source)
        if self._may_copy and not job.resume:
            receipt = self._copied(key, job, source, journal)
            if receipt is not None:
                return receipt
        return self._streamed(key, job, source, journal)

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Abort the multipart upload that an attempt left open."""
        if "upload_id" not in resume:
            return
        key = object_key(self._config.prefix, name)
        where: dict[str, Any] = {"Bucket": self._config.bucket, "Key": key}
        try:
            self._s3.abort_multipart_upload(**where, UploadId=resume["upload_id"])
        except self._s3.exceptions.NoSuchUpload:
            return

    # -- copied by S3 ------------------------------------------------------------------------------------------------

    def _copied(self, key: str, job: Job, source: Source, journal: Journal) -> Receipt | None:
        """Have S3 copy the object; None if the writing role may not read it."""
        origin: dict[str, Any] = {
            "CopySource": {"Bucket": job.source.bucket, "Key": job.source.key},
            "CopySourceIfMatch": f'"{job.source.etag}"',
        }
        try:
            expected = source.crc32c()
            if job.source.size <= self._whole_copy:
                journal.confirm()
                self._s3.copy_object(
                    Bucket=self._config.bucket,
                    Key=key,
                    MetadataDirective="REPLACE",
                    TaggingDirective="REPLACE",
                    ChecksumAlgorithm="CRC32C",
                    **origin,
                    **self._attributes(),
                )
                journal.progress(job.source.size)
            else:
                self._copy_parts(key, job, origin, journal)
        except self._s3.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("AccessDenied", "403"):
                self._may_copy = False
                return None
            if code in ("PreconditionFailed", "412", "NoSuchKey"):
                raise SourceChanged(
                    f"{source.where} has changed or is gone since it was registered. What is there now is a new file, "
                    "which the next run sends."
                ) from error
            raise self._refused("write", key, error) from error
        return self._verified(key, job, expected)

    def _copy_parts(self, key: str, job: Job, origin: Mapping[str, Any], journal: Journal) -> None:
        size, part_size = job.source.size, self._limits.size_for(job.source.size)
        upload_id = self._begin_upload(key)

        def copy(number: int, start: int) -> dict[str, Any]:
            end = min(start + part_size, size)
            result = self._s3.upload_part_copy(
                Bucket=self._config.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                CopySourceRange=f"bytes={start}-{end - 1}",
                **origin,
            )["CopyPartResult"]
            journal.progress(end - start)
            return {"PartNumber": number, **_of_part(result)}

        try:
            with ThreadPoolExecutor(_COPY_STREAMS) as pool:
                copies = [pool.submit(copy, number, start) for number, start in enumerate(range(0, size, part_size), 1)]
            parts = [copied.result() for copied in copies]
            journal.confirm()
            self._complete(key, upload_id, {"MultipartUpload": {"Parts": parts}})
        except BaseException:
            self._s3.abort_multipart_upload(Bucket=self._config.bucket, Key=key, UploadId=upload_id)
            raise

    # -- streamed through here ---------------------------------------------------------------------------------------

    def _streamed(self, key: str, job: Job, source: Source, journal: Journal) -> Receipt:
        if job.source.size <= self._small:
            checksum = Crc32c()
            content = b"".join(checksum.over(source.read(0, job.source.size)))
            self._throttle.take(len(content))
            require_s3_checksum(source, checksum.base64)
            journal.confirm()
            put = {"Body": content, "ChecksumCRC32C": checksum.base64, **self._attributes()}
            self._explained("write", key, lambda: self._s3.put_object(Bucket=self._config.bucket, Key=key, **put))
            journal.progress(len(content))
        else:
            checksum = self._put_parts(key, job, source, journal)
        return self._verified(key, job, checksum.base64)

    def _put_parts(self, key: str, job: Job, source: Source, journal: Journal) -> Crc32c:
        parts = self._resumed(key, job)
        if parts is None:
            upload_id = self._explained("write", key, lambda: self._begin_upload(key))
            parts = Parts(upload_id, self._limits.size_for(job.source.size), job.source.etag)
            journal.checkpoint(parts.state())
        upload = _Upload(self, key)
        checksum = upload_parts(job, source, upload, parts, journal, self._throttle, self._limits.streams)
        require_s3_checksum(source, checksum.base64)
        listed = [
            {"PartNumber": number, "ETag": etag, "ChecksumCRC32C": encode(crc)}
            for number, (etag, crc) in sorted(parts.done.items())
        ]
        # S3 completes only if what it has is what was read: a wrong byte never becomes visible.
        whole = {"MultipartUpload": {"Parts": listed}, "ChecksumCRC32C": checksum.base64, "ChecksumType": "FULL_OBJECT"}
        journal.confirm()
        self._explained("write", key, lambda: self._complete(key, parts.upload_id, whole))
        return checksum

    def _resumed(self, key: str, job: Job) -> Parts | None:
        parts = Parts.resumed(job.resume, job.source.etag)
        if parts is None:
            if job.resume:
                self.discard(job.name, job.resume)
            return None
        there: dict[int, str] = {}
        try:
            pages = self._s3.get_paginator("list_parts").paginate(
                Bucket=self._config.bucket, Key=key, UploadId=parts.upload_id
            )
            for page in pages:
                there |= {part["PartNumber"]: part["ETag"] for part in page.get("Parts", ())}
        except self._s3.exceptions.NoSuchUpload:
            return None
        parts.done = {number: part for number, part in parts.done.items() if there.get(number) == part[0]}
        return parts

    # -- requests ----------------------------------------------------------------------------------------------------

    def put_part(self, key: str, upload_id: str, number: int, content: bytes, crc32c: str) -> str:
        """Upload one part; S3 refuses it if its checksum is not ``crc32c``."""
        result = self._explained(
            "write",
            key,
            lambda: self._s3.upload_part(
                Bucket=self._config.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=content,
                ChecksumCRC32C=crc32c,
            ),
        )
        return str(result["ETag"])

    def _begin_upload(self, key: str) -> str:
        answer = self._s3.create_multipart_upload(
            Bucket=self._config.bucket,
            Key=key,
            ChecksumAlgorithm="CRC32C",
            ChecksumType="FULL_OBJECT",
            **self._attributes(),
        )
        return answer["UploadId"]

    def _complete(self, key: str, upload_id: str, content: Mapping[str, Any]) -> None:
        self._s3.complete_multipart_upload(Bucket=self._config.bucket, Key=key, UploadId=upload_id, **content)

    def _verified(self, key: str, job: Job, crc32c: str | None) -> Receipt:
        """What S3 says it stores, against what was read (R6.4)."""
        where: dict[str, Any] = {"Bucket": self._config.bucket, "Key": key}
        head = self._explained("read back", key, lambda: self._s3.head_object(**where, ChecksumMode="ENABLED"))
        uri = f"s3://{self._config.bucket}/{key}"
        if head["ContentLength"] != job.source.size:
            raise IntegrityError(
                f"{uri} has {head['ContentLength']} bytes, but {job.source.size} were sent. It is tried again."
            )
        stored = head.get("ChecksumCRC32C")
        if crc32c is not None and stored is not None:
            require_equal(uri, stored, crc32c)
            return Receipt(uri, job.source.size, f"crc32c:{crc32c}", "checksum")
        known = stored or crc32c
        return Receipt(uri, job.source.size, f"crc32c:{known}" if known else f"etag:{job.source.etag}", "size")

    def _attributes(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "StorageClass": self._config.storage_class,
            "ACL": self._config.acl,
            "SSEKMSKeyId": self._config.kms_key,
            "ServerSideEncryption": "aws:kms" if self._config.kms_key else None,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def _explained(self, verb: str, key: str, call: Callable[[], Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call()
        except ClientError as error:
            raise self._refused(verb, key, error) from error
        except BotoCoreError as error:
            raise TransferError(
                f"S3 cannot be reached ({type(error).__name__}) to {verb} s3://{self._config.bucket}/{key}."
            ) from error

    def _refused(self, verb: str, key: str, error: Any) -> TransferError:
        code, bucket = error.response["Error"]["Code"], self._config.bucket
        role = self._config.role_arn or "the environment's execution role"
        if code in ("NoSuchBucket", "404"):
            return DestinationUnavailable(
                f"There is no bucket {bucket!r}. Correct destination.bucket, or have it created [{code}]."
            )
        if code in ("AccessDenied", "403"):
            return DestinationUnavailable(
                f"{role} may not {verb} s3://{bucket}/{key}. Have its policy and the bucket's policy allow it [{code}]."
            )
        return TransferError(
            f"S3 refuses to {verb} s3://{bucket}/{key}: {error.response['Error'].get('Message')} [{code}]."
        )


class _Upload:
    """The parts of one object."""

    def __init__(self, target: S3Target, key: str) -> None:
        self._target = target
        self._key = key

    def put(self, upload_id: str, number: int, size: int, pieces: Iterator[bytes], checksum: Crc32c) -> str:
        """Send one part with its checksum, which S3 verifies; the part is held in memory meanwhile."""
        content = b"".join(pieces)
        return self._target.put_part(self._key, upload_id, number, content, checksum.base64)


def _of_part(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in ("ETag", "ChecksumCRC32C") if name in result}
