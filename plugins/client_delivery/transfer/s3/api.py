"""The calls that write to a destination bucket in S3.

What becomes visible does so in the place of what was looked at, or not at all (``If-Match``, ``If-None-Match``).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree

from client_delivery.runtime.backoff import Backoff
from client_delivery.transfer.contract import SourceObject, TransferError
from client_delivery.transfer.http.pool import BrokenOff, error_code
from client_delivery.transfer.integrity import CRC32C, Digest, OwnChecksum
from client_delivery.transfer.objects.api import LookDenied, Occupied, Stored
from client_delivery.transfer.s3.bucket import DENIED, OCCUPIED, NotAllowed, S3Bucket
from client_delivery.transfer.s3_wire.chunked import Held, Pieces, TrailedBody

if TYPE_CHECKING:
    from client_delivery.transfer.reading.carried import Carried

_COPY_ATTEMPTS = 5
_COPY_BACKOFF = Backoff(first=0.4, longest=8.0)
_PARAMETERS = {
    "content-type": "ContentType",
    "content-encoding": "ContentEncoding",
    "content-disposition": "ContentDisposition",
    "content-language": "ContentLanguage",
    "cache-control": "CacheControl",
}
"""What botocore calls the headers that an object carries."""
_NO_COPY = frozenset({*DENIED, "NotImplemented", "501"})


class CopyDenied(Exception):
    """The writing role may not read the source, or this bucket knows no conditional copies."""


class S3Api(S3Bucket):
    """One bucket, as one role sees it: :class:`~client_delivery.transfer.objects.api.ObjectApi`, and copies by S3
    itself."""

    largest = 10_000 * 5 * 1024**3
    fences_completion = True

    def look(self, key: str) -> Stored | None:
        """What is at the place now. Raises :class:`LookDenied`."""
        denied = LookDenied(f"{self.who} may not look at {self.uri(key)} (s3:GetObject, and s3:ListBucket).")
        head = self.call("look at", key, self.s3.head_object, missing="404", denied=denied, ChecksumMode="ENABLED")
        if head is None:
            return None
        checksum = OwnChecksum.of(head["ResponseMetadata"]["HTTPHeaders"])
        return Stored(_tag(head["ETag"]), head["ContentLength"], checksum)

    def put(self, key: str, content: bytes, digest: Digest, instead_of: Stored | None, about: Carried) -> Stored:
        """Write a small object; S3 refuses it if its checksum is another. Raises :class:`Occupied`."""
        fence = {"If-Match": instead_of.tag} if instead_of else {"If-None-Match": "*"}
        body = TrailedBody(Held(content, digest))
        with self.exchange(key, headers={**self._attribute_headers(about), **fence}, body=body) as response:
            code = error_code(response)[0] if response.status != 200 else ""
            if code in OCCUPIED or response.status == 412 or (instead_of and code == "NoSuchKey"):
                raise Occupied(repeated=response.repeated)
            self.require_success(response, key, new=instead_of is None)
            return Stored(_tag(response.headers.get("etag", "")), None, OwnChecksum.of(response.headers))

    def copy(self, key: str, source: SourceObject, algorithm: str, instead_of: Stored | None) -> Stored:
        """Have S3 copy the object whole. Raises :class:`CopyDenied`, :class:`Occupied`."""
        copied = self.call(
            "copy to",
            key,
            self.s3.copy_object,
            denied=CopyDenied(),
            denied_by=_NO_COPY,
            CopySource={
                "Bucket": source.bucket,
                "Key": source.key,
                **({"VersionId": source.version_id} if source.version_id else {}),
            },
            CopySourceIfMatch=f'"{source.etag}"',
            MetadataDirective="COPY" if self.config.keep_metadata else "REPLACE",
            TaggingDirective="REPLACE",
            ChecksumAlgorithm=algorithm.upper(),
            **_fence(instead_of),
            **self._attributes(),
        )
        return _stored(copied["CopyObjectResult"])

    def begin(self, key: str, about: Carried, algorithm: str = CRC32C) -> str:
        """Begin a multipart upload; returns its id."""
        headers: dict[str, Any] = {_PARAMETERS[name]: value for name, value in about.headers.items()}
        response = self.call(
            "begin to write",
            key,
            self.s3.create_multipart_upload,
            new=True,
            ChecksumAlgorithm=algorithm.upper(),
            ChecksumType="FULL_OBJECT",
            Metadata=dict(about.metadata),
            **headers,
            **self._attributes(),
        )
        return str(response["UploadId"])

    def put_part(self, key: str, upload_id: str, number: int, span: Pieces) -> str:
        """Send one part, whose checksum S3 compares; returns its ETag."""
        query = {"partNumber": str(number), "uploadId": upload_id}
        with self.exchange(key, query=query, body=TrailedBody(span)) as response:
            self.require_success(response, key)
            return response.headers["etag"]

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
            with self.exchange(key, query=query, headers=headers) as response:
                if response.status in (403, 501) and error_code(response)[0] in _NO_COPY:
                    raise CopyDenied
                if response.status in (404, 412):
                    raise Occupied
                self.require_success(response, key)
                # S3 begins its response before it has copied: an error may follow a 200, or nothing at all.
                try:
                    etag = ElementTree.fromstring(response.read()).findtext("{*}ETag")  # noqa: S314 - S3's own response
                except (BrokenOff, ElementTree.ParseError):
                    etag = None
                if etag:
                    return etag
            _COPY_BACKOFF.wait(attempt)
        raise TransferError(f"S3 did not copy part {number} of {self.uri(key)}. It will be retried.")

    def parts(self, key: str, upload_id: str) -> dict[int, str] | None:
        """The ETags of the parts that have arrived, by number; None if the upload is gone or may not be read."""
        there: dict[int, str] = {}
        marker = 0
        while True:
            try:
                page = self.call(
                    "list the parts of",
                    key,
                    self.s3.list_parts,
                    missing="NoSuchUpload",
                    denied=NotAllowed(),
                    UploadId=upload_id,
                    PartNumberMarker=marker,
                )
            except NotAllowed:
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
        completed = self.call(
            "complete",
            key,
            self.s3.complete_multipart_upload,
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
            pages = self.s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.config.bucket, Prefix=key)
            return [one["UploadId"] for page in pages for one in page.get("Uploads", ()) if one["Key"] == key]
        return []

    def abort(self, key: str, upload_id: str) -> None:
        """Remove what has arrived of an upload, if it is still there and the role may."""
        abort = self.s3.abort_multipart_upload
        with suppress(NotAllowed):
            self.call(
                "abort the upload of", key, abort, missing="NoSuchUpload", denied=NotAllowed(), UploadId=upload_id
            )

    def withdraw(self, key: str, stored: Stored) -> None:
        """Remove this very object, if it is still there and the role may."""
        with suppress(NotAllowed, Occupied):
            delete = self.s3.delete_object
            self.call("remove", key, delete, missing="NoSuchKey", denied=NotAllowed(), IfMatch=stored.tag)

    def _attributes(self) -> dict[str, Any]:
        chosen: dict[str, Any] = {
            "StorageClass": self.config.storage_class,
            "ACL": self.config.acl,
            "SSEKMSKeyId": self.config.kms_key,
            "ServerSideEncryption": "aws:kms" if self.config.kms_key else None,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def _attribute_headers(self, about: Carried) -> dict[str, str]:
        names = {
            "StorageClass": "X-Amz-Storage-Class",
            "ACL": "X-Amz-Acl",
            "SSEKMSKeyId": "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id",
            "ServerSideEncryption": "X-Amz-Server-Side-Encryption",
        }
        own = {names[name]: value for name, value in self._attributes().items()}
        return {**about.as_headers("x-amz-meta-"), **own}


def _fence(instead_of: Stored | None) -> dict[str, Any]:
    return {"IfMatch": instead_of.tag} if instead_of else {"IfNoneMatch": "*"}


def _stored(result: Mapping[str, Any]) -> Stored:
    """The object, by the body of S3's response."""
    told = {f"x-amz-checksum-{name[8:].lower()}": str(value) for name, value in result.items() if "Checksum" in name}
    return Stored(_tag(str(result.get("ETag", ""))), None, OwnChecksum.of(told))


def _tag(etag: str) -> str:
    """In quotation marks, as it stands in headers: some implementations leave them out in the body of a response."""
    bare = etag.strip('"')
    return f'"{bare}"' if bare else ""
