"""The calls of the fast S3 that write: whole objects, multipart uploads, copies, removals."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from awscrt import checksums

from local.http_stand_in import StandInError
from local.s3_bodies import BodyHandler
from local.s3_objects import Object, Upload, as_base64

_ENCRYPTION = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id")
_PAGE = 1000
_T = TypeVar("_T")


class WritingHandler(BodyHandler):
    """Writes."""

    def _object(self, bucket: str, key: str) -> Object:
        try:
            return self.server.objects[bucket, key]
        except KeyError:
            raise StandInError(404, "NoSuchKey", "The specified key does not exist.") from None

    def _put(self, bucket: str, key: str) -> None:
        received = self._received()
        received.about = self._about(bucket)
        self._publish(bucket, key, received)
        headers = {"ETag": f'"{received.etag}"', "x-amz-checksum-crc32c": as_base64(received.crc32c)}
        self.effect_then(lambda: self.respond(200, headers=headers))

    def _delete(self, bucket: str, key: str) -> None:
        with self.server.lock:
            there = self.server.objects.get((bucket, key))
            match = self.headers.get("If-Match")
            if match and there is not None and there.etag != match.strip('"'):
                raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
            if match and there is None:
                raise StandInError(404, "NoSuchKey", "The specified key does not exist.")
            if there is not None and "versionId" in self.query and "x-amz-object-lock-mode" in there.about:
                raise StandInError(403, "AccessDenied", "Access Denied because object protected by object lock.")
            gone = self.server.objects.pop((bucket, key), None)
        for path, _ in gone.kept if gone else ():
            path.unlink(missing_ok=True)
        self.respond(204)

    def _about(self, bucket: str) -> dict[str, str]:
        """What S3 keeps with an object that this request begins.

        A bucket's default retention is each new version's own, and who looks is told of it:
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html and
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html (``x-amz-object-lock-*``).
        """
        about = {name: self.headers[name] for name in _ENCRYPTION if name in self.headers}
        if days := self.server.locks.get(bucket):
            until = datetime.now(UTC) + timedelta(days=days)
            about |= {
                "x-amz-version-id": secrets.token_urlsafe(24),
                "x-amz-object-lock-mode": "COMPLIANCE",
                "x-amz-object-lock-retain-until-date": f"{until:%Y-%m-%dT%H:%M:%S.000Z}",
            }
        return about

    def _open_uploads(self, bucket: str) -> None:
        """In pages, by key and then by id: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html."""
        prefix, after = (
            self.query.get("prefix", ""),
            (self.query.get("key-marker", ""), self.query.get("upload-id-marker", "")),
        )
        found = sorted(
            (upload.key, upload_id)
            for upload_id, upload in self.server.uploads.items()
            if upload.bucket == bucket and upload.key.startswith(prefix)
        )
        page, more = _page([one for one in found if one > after])
        rows = "".join(
            f"<Upload><Key>{escape(key)}</Key><UploadId>{upload_id}</UploadId></Upload>" for key, upload_id in page
        )
        marks = (
            f"<NextKeyMarker>{escape(page[-1][0])}</NextKeyMarker><NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>"
            if more
            else ""
        )
        self.xml(f"<ListMultipartUploadsResult>{_truncated(more)}{marks}{rows}</ListMultipartUploadsResult>")

    def _create(self, bucket: str, key: str) -> None:
        self.drain()
        upload_id = secrets.token_urlsafe(24)
        self.server.uploads[upload_id] = Upload(bucket, key, self._about(bucket))
        self.xml(
            f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
            f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
        )

    def _part(self) -> None:
        upload, received = self._upload(), self._received()
        upload.parts[int(self.query["partNumber"])] = received
        headers = {"ETag": f'"{received.etag}"', "x-amz-checksum-crc32c": as_base64(received.crc32c)}
        self.effect_then(lambda: self.respond(200, headers=headers))

    def _copy_part(self) -> None:
        upload, source = self._upload(), self._copied()
        first, last = map(int, re.findall(r"\d+", self.headers["x-amz-copy-source-range"]))
        size = last + 1 - first
        self._take_time(size)
        crc32c = self.server.crc32c(first, last + 1)
        upload.parts[int(self.query["partNumber"])] = copied = Object(size, f"{crc32c:08x}{size:024x}", crc32c)
        assert last < source.size
        self.xml(f"<CopyPartResult><ETag>&quot;{copied.etag}&quot;</ETag></CopyPartResult>")

    def _copy(self, bucket: str, key: str) -> None:
        source = self._copied()
        if source.size > 5 * 1024**3:
            raise StandInError(400, "InvalidRequest", "The specified copy source is larger than 5 GiB.")
        self._take_time(source.size)
        self._publish(bucket, key, source)
        self.effect_then(
            lambda: self.xml(
                f"<CopyObjectResult><ETag>&quot;{source.etag}&quot;</ETag>"
                f"<ChecksumCRC32C>{as_base64(source.crc32c)}</ChecksumCRC32C></CopyObjectResult>"
            )
        )

    def _complete(self, bucket: str, key: str) -> None:
        upload, tree = self._upload(), ElementTree.fromstring(self.body())
        crc32c = size = 0
        kept: tuple[tuple[Path, int], ...] = ()
        for part in tree:
            number = int(part.findtext("{*}PartNumber") or 0)
            found = upload.parts.get(number)
            if found is None or (part.findtext("{*}ETag") or "").strip('"') != found.etag:
                raise StandInError(400, "InvalidPart", f"part {number}")
            crc32c, size = checksums.combine_crc32c(crc32c, found.crc32c, found.size), size + found.size
            kept += found.kept
        if self.headers.get("x-amz-checksum-crc32c", as_base64(crc32c)) != as_base64(crc32c):
            raise StandInError(400, "BadDigest", "The CRC32C you specified did not match what we received.")
        whole = Object(size, f"{crc32c:08x}{size:024x}-{len(tree)}", crc32c, upload.about, kept)
        self._publish(bucket, key, whole)
        del self.server.uploads[self.query["uploadId"]]
        self.effect_then(
            lambda: self.xml(
                f"<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
                f"<ETag>&quot;{whole.etag}&quot;</ETag><ChecksumCRC32C>{as_base64(crc32c)}</ChecksumCRC32C>"
                f"<ChecksumType>FULL_OBJECT</ChecksumType></CompleteMultipartUploadResult>"
            )
        )

    def _abort(self) -> None:
        self._upload()
        del self.server.uploads[self.query["uploadId"]]
        self.respond(204)

    def _parts(self) -> None:
        """In pages: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html."""
        after = int(self.query.get("part-number-marker") or 0)
        page, more = _page([one for one in sorted(self._upload().parts.items()) if one[0] > after])
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{part.etag}&quot;</ETag><Size>{part.size}</Size></Part>"
            for number, part in page
        )
        mark = f"<NextPartNumberMarker>{page[-1][0] if page else 0}</NextPartNumberMarker>"
        self.xml(f"<ListPartsResult>{_truncated(more)}{mark}{rows}</ListPartsResult>")

    def _upload(self) -> Upload:
        try:
            return self.server.uploads[self.query["uploadId"]]
        except KeyError:
            raise StandInError(404, "NoSuchUpload", "The specified upload does not exist.") from None

    def _copied(self) -> Object:
        self.drain()
        bucket, _, key = unquote(self.headers["x-amz-copy-source"]).lstrip("/").partition("/")
        found = self._object(bucket, key)
        if self.headers.get("x-amz-copy-source-if-match", found.etag).strip('"') != found.etag:
            raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        return found

    def _take_time(self, size: int) -> None:
        if self.server.copy_rate:
            time.sleep(size / self.server.copy_rate)

    def _publish(self, bucket: str, key: str, new: Object) -> None:
        with self.server.lock:
            there = self.server.objects.get((bucket, key))
            match, none_match = self.headers.get("If-Match"), self.headers.get("If-None-Match")
            if match and there is None:
                raise StandInError(404, "NoSuchKey", "The specified key does not exist.")
            if (none_match and there) or (match and there and there.etag != match.strip('"')):
                raise StandInError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
            self.server.objects[bucket, key] = new
            self.server.written[f"{bucket}/{key}"] = {"size": new.size, "crc32c": as_base64(new.crc32c)}


def _page(rows: Sequence[_T]) -> tuple[Sequence[_T], bool]:
    """The first page, and whether there is another."""
    return rows[:_PAGE], len(rows) > _PAGE


def _truncated(more: bool) -> str:
    return f"<IsTruncated>{str(more).lower()}</IsTruncated>"
