"""The calls that write to a destination bucket, and what S3's refusals mean.

What becomes visible does so in the place of what was looked at, or not at all (``If-Match``, ``If-None-Match``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree

from delivery.transfer.contract import DestinationUnavailable, IntegrityError, SourceObject, TransferError
from delivery.transfer.http.pool import BrokenOff, Response, Unreachable, error_code
from delivery.transfer.integrity import OwnChecksum
from delivery.transfer.s3.access import Pieces, S3Access, TrailedBody

if TYPE_CHECKING:
    from delivery.config.model import S3Destination

_COPY_ATTEMPTS = 5
_WRONG_BYTES = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})


@dataclass(frozen=True, slots=True)
class Stored:
    """The object at its place."""

    etag: str
    size: int
    checksum: OwnChecksum | None


class Occupied(Exception):
    """Not written: at the place, or in the copy's source, is not what was looked at."""

    def __init__(self, *, repeated: bool = True) -> None:
        super().__init__()
        self.repeated = repeated
        """Whether an earlier try of the same request may have taken effect."""


class CopyDenied(Exception):
    """The writing role may not read the source."""


class S3Api:
    """One bucket, as one role sees it. Raises :class:`TransferError` or one of its kinds, unless said otherwise.

    ``instead_of`` is the ETag, as S3 sends it, of the object that may be replaced; None if nothing is there.
    """

    def __init__(self, config: S3Destination, access: S3Access) -> None:
        self._config = config
        self._access = access
        self._s3 = access.client

    def look(self, key: str) -> Stored | None:
        """What is at the place now."""
        head = self._call("read", key, self._s3.head_object, missing="404", ChecksumMode="ENABLED")
        if head is None:
            return None
        return Stored(head["ETag"], head["ContentLength"], OwnChecksum.of(head["ResponseMetadata"]["HTTPHeaders"]))

    def put(self, key: str, pieces: Pieces, instead_of: str | None) -> None:
        """Write a small object, whose checksum S3 compares. Raises :class:`Occupied`."""
        fence = {"If-Match": instead_of} if instead_of else {"If-None-Match": "*"}
        body = TrailedBody(pieces)
        with self._exchange(key, headers={**self._attribute_headers(), **fence}, body=body) as answer:
            if answer.status == 412:
                raise Occupied(repeated=answer.repeated)
            self._require_success(answer, key)

    def copy(self, key: str, source: SourceObject, algorithm: str, instead_of: str | None) -> None:
        """Have S3 copy the object whole. Raises :class:`CopyDenied`, :class:`Occupied`."""
        self._call(
            "write",
            key,
            self._s3.copy_object,
            denied=CopyDenied(),
            CopySource={
                "Bucket": source.bucket,
                "Key": source.key,
                **({"VersionId": source.version_id} if source.version_id else {}),
            },
            CopySourceIfMatch=f'"{source.etag}"',
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",
            ChecksumAlgorithm=algorithm.upper(),
            **_fence(instead_of),
            **self._attributes(),
        )

    def begin(self, key: str, algorithm: str) -> str:
        """Begin a multipart upload; returns its id."""
        answer = self._call(
            "write",
            key,
            self._s3.create_multipart_upload,
            ChecksumAlgorithm=algorithm.upper(),
            ChecksumType="FULL_OBJECT",
            **self._attributes(),
        )
        return str(answer["UploadId"])

    def put_part(self, key: str, upload_id: str, number: int, pieces: Pieces) -> str:
        """Send one part, whose checksum S3 compares; returns its ETag."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        with self._exchange(key, query=query, body=TrailedBody(pieces)) as answer:
            self._require_success(answer, key)
            return answer.headers["etag"]

    def copy_part(self, key: str, upload_id: str, number: int, source: SourceObject, span: tuple[int, int]) -> str:
        """Have S3 copy one part; returns its ETag. Raises :class:`CopyDenied`, :class:`Occupied`."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        version = f"?versionId={source.version_id}" if source.version_id else ""
        headers = {
            "X-Amz-Copy-Source": quote(f"{source.bucket}/{source.key}", safe="/~") + version,
            "X-Amz-Copy-Source-If-Match": f'"{source.etag}"',
            "X-Amz-Copy-Source-Range": f"bytes={span[0]}-{span[1] - 1}",
        }
        for attempt in range(1, _COPY_ATTEMPTS + 1):
            with self._exchange(key, query=query, headers=headers) as answer:
                if answer.status == 403:
                    raise CopyDenied
                if answer.status in (404, 412):
                    raise Occupied
                self._require_success(answer, key)
                # S3 begins to answer before it has copied: an error may follow a 200, or nothing at all.
                try:
                    etag = ElementTree.fromstring(answer.read()).findtext("{*}ETag")  # noqa: S314 - S3's own answer
                except (BrokenOff, ElementTree.ParseError):
                    etag = None
                if etag:
                    return etag
            time.sleep(0.2 * 2**attempt)
        raise TransferError(f"S3 did not copy part {number} of {self.uri(key)}. It is tried again.")

    def parts(self, key: str, upload_id: str) -> dict[int, str] | None:
        """The ETags of the parts that have arrived, by number; None if the upload is gone."""
        there: dict[int, str] = {}
        marker = 0
        while True:
            page = self._call(
                "list the parts of",
                key,
                self._s3.list_parts,
                missing="NoSuchUpload",
                UploadId=upload_id,
                PartNumberMarker=marker,
            )
            if page is None:
                return None
            there |= {part["PartNumber"]: part["ETag"] for part in page.get("Parts", ())}
            if not page.get("IsTruncated"):
                return there
            marker = page["NextPartNumberMarker"]

    def complete(
        self,
        key: str,
        upload_id: str,
        part_etags: Mapping[int, str],
        checksum: OwnChecksum | None,
        instead_of: str | None,
    ) -> None:
        """Make the object visible, if what S3 has of it has that checksum. Raises :class:`Occupied`."""
        expected = {f"Checksum{checksum.algorithm.upper()}": checksum.value} if checksum else {}
        completed = self._call(
            "write",
            key,
            self._s3.complete_multipart_upload,
            missing="NoSuchUpload",
            UploadId=upload_id,
            MultipartUpload={
                "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in sorted(part_etags.items())]
            },
            ChecksumType="FULL_OBJECT",
            **expected,
            **_fence(instead_of),
        )
        if completed is None:
            raise Occupied  # completed by an earlier try whose answer was lost, or aborted

    def abort(self, key: str, upload_id: str) -> None:
        """Remove what has arrived of an upload, if it is still there."""
        abort = self._s3.abort_multipart_upload
        self._call("abort the upload of", key, abort, missing="NoSuchUpload", UploadId=upload_id)

    def abandon(self, key: str) -> None:
        """Abort every open upload for the key: what attempts began that died before they could note it.

        Only the bucket's owner may forbid to list them; then its lifecycle rules have to remove them.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):
            pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self._config.bucket, Prefix=key)
            for upload in [one for page in pages for one in page.get("Uploads", ()) if one["Key"] == key]:
                self.abort(key, upload["UploadId"])

    def uri(self, key: str) -> str:
        """Where an object is."""
        return f"s3://{self._config.bucket}/{key}"

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _exchange(self, key: str, **request: Any) -> Response:
        try:
            return self._access.exchange("PUT", self._config.bucket, key, **request)
        except Unreachable as error:
            raise TransferError(
                f"S3 cannot be reached to write {self.uri(key)}: {error}. It is tried again."
            ) from error

    def _require_success(self, answer: Response, key: str) -> None:
        if answer.status != 200:
            raise self._refused("write", key, *error_code(answer))

    def _call(
        self,
        verb: str,
        key: str,
        call: Callable[..., Any],
        **request: Any,
    ) -> Any:
        """One of botocore's calls; None if it ends with the code ``missing``; raises ``denied`` if not allowed."""
        missing: str = request.pop("missing", "")
        denied: Exception | None = request.pop("denied", None)
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(Bucket=self._config.bucket, Key=key, **request)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == missing:
                return None
            if code in ("PreconditionFailed", "412"):
                raise Occupied from error
            if denied is not None and code in ("AccessDenied", "403"):
                raise denied from error
            raise self._refused(verb, key, code, error.response["Error"].get("Message", "")) from error
        except BotoCoreError as error:
            raise TransferError(f"S3 cannot be reached ({type(error).__name__}) to {verb} {self.uri(key)}.") from error

    def _refused(self, verb: str, key: str, code: str, message: str) -> TransferError:
        role = self._config.role_arn or "the environment's execution role"
        if code in ("NoSuchBucket", "404"):
            return DestinationUnavailable(
                f"There is no bucket {self._config.bucket!r}. Correct destination.bucket, or have it created [{code}]."
            )
        if code in ("AccessDenied", "403"):
            return DestinationUnavailable(
                f"{role} may not {verb} {self.uri(key)}. Have its policy and the bucket's policy allow it [{code}]."
            )
        if code in _WRONG_BYTES:
            return IntegrityError(f"{self.uri(key)}: the bytes did not arrive as they were sent [{code}]. Tried again.")
        return TransferError(f"S3 refuses to {verb} {self.uri(key)}: {message} [{code}].")

    def _attributes(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "StorageClass": self._config.storage_class,
            "ACL": self._config.acl,
            "SSEKMSKeyId": self._config.kms_key,
            "ServerSideEncryption": "aws:kms" if self._config.kms_key else None,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def _attribute_headers(self) -> dict[str, str]:
        names = {
            "StorageClass": "X-Amz-Storage-Class",
            "ACL": "X-Amz-Acl",
            "SSEKMSKeyId": "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
            "ServerSideEncryption": "X-Amz-Server-Side-Encryption",
        }
        return {names[name]: value for name, value in self._attributes().items()}


def _fence(instead_of: str | None) -> dict[str, str]:
    return {"IfMatch": instead_of} if instead_of else {"IfNoneMatch": "*"}
