"""The calls that write to a destination bucket in S3.

What becomes visible does so in the place of what was looked at, or not at all (``If-Match``, ``If-None-Match``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree

from delivery.transfer.contract import SourceObject, TransferError
from delivery.transfer.http.pool import BrokenOff, Response, Unreachable, error_code
from delivery.transfer.integrity import CRC32C, Digest, OwnChecksum
from delivery.transfer.objects.api import LookDenied, Occupied, Stored
from delivery.transfer.objects.refusals import refusal
from delivery.transfer.s3.access import Held, S3Access, TrailedBody, no_credentials
from delivery.transfer.s3.refusals import MEANINGS

if TYPE_CHECKING:
    from delivery.config.model import S3Destination
    from delivery.transfer.source import Span

_COPY_ATTEMPTS = 5
_DENIED = frozenset({"AccessDenied", "403"})
_OCCUPIED = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
_NO_COPY = frozenset({*_DENIED, "NotImplemented", "501"})


class CopyDenied(Exception):
    """The writing role may not read the source, or this bucket knows no conditional copies."""


class S3Api:
    """One bucket, as one role sees it: :class:`~delivery.transfer.objects.api.ObjectApi`, and copies by S3 itself."""

    largest = 10_000 * 5 * 1024**3
    fences_completion = True

    def __init__(self, config: S3Destination, access: S3Access) -> None:
        self._config = config
        self._access = access
        self._s3 = access.client

    def look(self, key: str) -> Stored | None:
        """What is at the place now. Raises :class:`LookDenied`."""
        denied = LookDenied(f"{self._who} may not look at {self.uri(key)} (s3:GetObject, and s3:ListBucket).")
        head = self._call("look at", key, self._s3.head_object, missing="404", denied=denied, ChecksumMode="ENABLED")
        if head is None:
            return None
        return Stored(head["ETag"], head["ContentLength"], OwnChecksum.of(head["ResponseMetadata"]["HTTPHeaders"]))

    def put(self, key: str, content: bytes, digest: Digest, instead_of: Stored | None) -> Stored:
        """Write a small object; S3 refuses it if its checksum is another. Raises :class:`Occupied`."""
        fence = {"If-Match": instead_of.tag} if instead_of else {"If-None-Match": "*"}
        body = TrailedBody(Held(content, digest))
        with self._exchange(key, headers={**self._attribute_headers(), **fence}, body=body) as answer:
            code = error_code(answer)[0] if answer.status != 200 else ""
            if code in _OCCUPIED or answer.status == 412 or (instead_of and code == "NoSuchKey"):
                raise Occupied(repeated=answer.repeated)
            self._require_success(answer, key, new=instead_of is None)
            return Stored(answer.headers.get("etag", ""), None, OwnChecksum.of(answer.headers))

    def copy(self, key: str, source: SourceObject, algorithm: str, instead_of: Stored | None) -> Stored:
        """Have S3 copy the object whole. Raises :class:`CopyDenied`, :class:`Occupied`."""
        copied = self._call(
            "copy to",
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
        return _stored(copied["CopyObjectResult"])

    def begin(self, key: str, algorithm: str = CRC32C) -> str:
        """Begin a multipart upload; returns its id."""
        answer = self._call(
            "begin to write",
            key,
            self._s3.create_multipart_upload,
            new=True,
            ChecksumAlgorithm=algorithm.upper(),
            ChecksumType="FULL_OBJECT",
            **self._attributes(),
        )
        return str(answer["UploadId"])

    def put_part(self, key: str, upload_id: str, number: int, span: Span) -> str:
        """Send one part, whose checksum S3 compares; returns its ETag."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        with self._exchange(key, query=query, body=TrailedBody(span)) as answer:
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
                if answer.status in (403, 501) and error_code(answer)[0] in _NO_COPY:
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
        """The ETags of the parts that have arrived, by number; None if the upload is gone or may not be read."""
        there: dict[int, str] = {}
        marker = 0
        while True:
            try:
                page = self._call(
                    "list the parts of",
                    key,
                    self._s3.list_parts,
                    missing="NoSuchUpload",
                    denied=_NotAllowed(),
                    UploadId=upload_id,
                    PartNumberMarker=marker,
                )
            except _NotAllowed:
                return None
            if page is None:
                return None
            there |= {part["PartNumber"]: part["ETag"] for part in page.get("Parts", ())}
            if not page.get("IsTruncated"):
                return there
            marker = page["NextPartNumberMarker"]

    def complete(
        self, key: str, upload_id: str, part_etags: Mapping[int, str], digest: Digest, instead_of: Stored | None
    ) -> Stored:
        """Make the object visible, if what S3 has of it is what was read. Raises :class:`Occupied`."""
        return self.complete_as(key, upload_id, part_etags, OwnChecksum(CRC32C, digest.crc32c), instead_of)

    def complete_as(
        self,
        key: str,
        upload_id: str,
        part_etags: Mapping[int, str],
        checksum: OwnChecksum | None,
        instead_of: Stored | None,
    ) -> Stored:
        """Make the object visible, if what S3 has of it has that checksum. Raises :class:`Occupied`."""
        expected: dict[str, Any] = {f"Checksum{checksum.algorithm.upper()}": checksum.value} if checksum else {}
        completed = self._call(
            "complete",
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
            raise Occupied(upload_gone=True)
        return _stored(completed)

    def open_uploads(self, key: str) -> list[str]:
        """The ids of the uploads for that key that are neither complete nor aborted; none if they may not be listed."""
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):
            pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self._config.bucket, Prefix=key)
            return [one["UploadId"] for page in pages for one in page.get("Uploads", ()) if one["Key"] == key]
        return []

    def abort(self, key: str, upload_id: str) -> None:
        """Remove what has arrived of an upload, if it is still there and the role may."""
        abort = self._s3.abort_multipart_upload
        with suppress(_NotAllowed):
            self._call(
                "abort the upload of", key, abort, missing="NoSuchUpload", denied=_NotAllowed(), UploadId=upload_id
            )

    def withdraw(self, key: str, stored: Stored) -> None:
        """Remove this very object, if it is still there and the role may."""
        with suppress(_NotAllowed, Occupied):
            delete = self._s3.delete_object
            self._call("remove", key, delete, missing="NoSuchKey", denied=_NotAllowed(), IfMatch=stored.tag)

    def uri(self, key: str) -> str:
        """Where an object is."""
        return f"s3://{self._config.bucket}/{key}"

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _exchange(self, key: str, **request: Any) -> Response:
        try:
            return self._access.exchange("PUT", self._config.bucket, key, **request)
        except Unreachable as error:
            raise self._unreachable("write", key, error) from error

    def _require_success(self, answer: Response, key: str, *, new: bool = False) -> None:
        if answer.status != 200:
            raise self._refused("write", key, answer.status, *error_code(answer), new=new)

    def _call(
        self,
        verb: str,
        key: str,
        call: Callable[..., Any],
        *,
        missing: str = "",
        denied: Exception | None = None,
        new: bool = False,
        **request: Any,
    ) -> Any:
        """One of botocore's calls; None if it ends with the code ``missing``; raises ``denied`` if not allowed."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return call(Bucket=self._config.bucket, Key=key, **request)
        except ClientError as error:
            if (trouble := no_credentials(error)) is not None:
                raise trouble from error
            told = error.response.get("Error", {})
            code = str(told.get("Code", ""))
            about = error.response.get("ResponseMetadata", {})
            if code == missing:
                return None
            if code in _OCCUPIED or (code == "NoSuchKey" and "IfMatch" in request):
                raise Occupied(repeated=about.get("RetryAttempts", 1) > 0) from error
            if denied is not None and code in (_NO_COPY if isinstance(denied, CopyDenied) else _DENIED):
                raise denied from error
            status = about.get("HTTPStatusCode", 0)
            raise self._refused(verb, key, status, code, told.get("Message", ""), new=new) from error
        except BotoCoreError as error:
            raise no_credentials(error) or self._unreachable(verb, key, type(error).__name__) from error

    def _unreachable(self, verb: str, key: str, why: object) -> TransferError:
        away = TransferError(f"S3 cannot be reached to {verb} {self.uri(key)}: {why}. It is tried again.")
        away.alike = "unreachable"
        return away

    def _refused(self, verb: str, key: str, status: int, code: str, reason: str, *, new: bool) -> TransferError:
        return refusal(
            MEANINGS,
            "S3",
            (status, code, reason),
            verb=verb,
            uri=self.uri(key),
            new=new,
            bucket=self._config.bucket,
            who=self._who,
        )

    @property
    def _who(self) -> str:
        return self._config.role_arn or "The environment's execution role"

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


class _NotAllowed(Exception):
    """The role may not do this, and nothing depends on it."""


def _fence(instead_of: Stored | None) -> dict[str, Any]:
    return {"IfMatch": instead_of.tag} if instead_of else {"IfNoneMatch": "*"}


def _stored(result: Mapping[str, Any]) -> Stored:
    """The object, by the body of S3's response."""
    told = {f"x-amz-checksum-{name[8:].lower()}": str(value) for name, value in result.items() if "Checksum" in name}
    return Stored(str(result.get("ETag", "")), None, OwnChecksum.of(told))
