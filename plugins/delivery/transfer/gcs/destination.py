"""Google Cloud Storage (R1.1): small files in one request, larger ones as an XML multipart upload.

Every request carries or is answered with a CRC32C, the bytes' own checksum is compared with it before the object
becomes visible, and the request that makes it visible only holds for the generation that was looked at: an attempt
that has been overtaken changes nothing (R3.5). Each stream holds one piece of at most 1 MiB; a small file is held
whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from delivery.transfer.contract import IntegrityError, Job, Journal, Receipt, Superseded, TransferError, discarding
from delivery.transfer.gcs.api import GcsApi
from delivery.transfer.http.pool import Response
from delivery.transfer.integrity import Digest, require_equal
from delivery.transfer.naming import object_key
from delivery.transfer.parts import PartLimits, Parts, upload_parts
from delivery.transfer.source import Source, Span
from delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from delivery.config.model import GcsDestination
    from delivery.secret import Secret
    from delivery.transfer.s3.access import S3Access

_SMALL = 4 * 1024**2


class GcsTarget:
    """One client's bucket and prefix."""

    parallel_jobs = 16

    def __init__(
        self,
        config: GcsDestination,
        secret: Secret,
        source_s3: S3Access,
        endpoint: str,
        *,
        small: int = _SMALL,
        limits: PartLimits | None = None,
    ) -> None:
        self._config = config
        self._s3 = source_s3
        self._small = small
        self._limits = limits or PartLimits()
        self._throttle = Throttle(config.max_bytes_per_second)
        self._request = GcsApi(config, secret, endpoint)

    def __enter__(self) -> Self:
        # Looking at the bucket would need a permission that delivering does not: the first file shows if it is there.
        return self

    def __exit__(self, *exc: object) -> None:
        self._request.close()

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file."""
        key = object_key(self._config.prefix, job.name)
        source = Source(self._s3, job.source)
        if job.source.size <= self._small:
            digest, published = self._put_whole(key, source, journal)
        else:
            digest, published = self._put_parts(key, job, source, journal)
        uri = f"gs://{self._config.bucket}/{key}"
        if published.crc32c != digest.crc32c:
            self._withdraw(key, published.generation)
            require_equal(uri, published.crc32c, digest.crc32c)
        return Receipt(uri, job.source.size, f"crc32c:{digest.crc32c}", "checksum")

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Abort the multipart upload that an attempt left open; if none is noted, whatever is open for that name."""
        key = object_key(self._config.prefix, name)
        if "upload_id" in resume:
            self._abort(key, resume["upload_id"])
        else:
            self._abandon(key)

    # -- one request -------------------------------------------------------------------------------------------------

    def _put_whole(self, key: str, source: Source, journal: Journal) -> tuple[Digest, _Published]:
        content, digest = source.whole(self._throttle)
        headers = {**self._object_headers(), "x-goog-hash": f"crc32c={digest.crc32c}"}
        journal.confirm()
        # Most names are new: only if this one is not does it cost a look at what is there.
        published = self._put(key, headers, content, digest, 0)
        if published is None:
            there = self._look(key)
            journal.confirm()
            published = self._put(key, headers, content, digest, there.generation)
        if published is None:
            raise self._written_by_another(key)
        journal.progress(len(content))
        return digest, published

    def _put(
        self, key: str, headers: Mapping[str, str], content: bytes, digest: Digest, generation: int
    ) -> _Published | None:
        """Make the object visible in the place of that generation; None if there is another one."""
        fenced = {**headers, "x-goog-if-generation-match": str(generation)}
        with self._request("PUT", key, headers=fenced, body=content, accept=(200, 412)) as answer:
            if answer.status == 200:
                return _Published.of(answer)
        # An earlier try of this very request may have taken effect although its answer was lost.
        there = self._look(key) if answer.repeated else None
        return there if there is not None and there.crc32c == digest.crc32c else None

    # -- multipart ---------------------------------------------------------------------------------------------------

    def _put_parts(self, key: str, job: Job, source: Source, journal: Journal) -> tuple[Digest, _Published]:
        generation = self._look(key).generation
        parts = self._resumed(key, job) or self._begun(key, job, journal)
        upload = _Upload(self._request, key)
        with discarding(self, job.name, parts.state, on=IntegrityError):
            digest = upload_parts(source, upload, parts, journal=journal, throttle=self._throttle, limits=self._limits)
            source.require_same(digest)
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(parts.part_etags.items())
        )
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        headers = {"x-goog-if-generation-match": str(generation)}
        query = f"uploadId={quote(parts.upload_id)}"
        journal.confirm()
        # 404 is "no such upload": completed by an earlier try, or aborted.
        with self._request("POST", key, query=query, headers=headers, body=body, accept=(200, 404, 412)) as answer:
            published = _Published.of(answer)
            answer.read()
        if answer.status != 200 or published.crc32c is None:
            published = self._look(key)
        if answer.status != 200 and (published.crc32c != digest.crc32c or published.generation == generation):
            raise self._written_by_another(key)
        return digest, published

    def _resumed(self, key: str, job: Job) -> Parts | None:
        parts = Parts.resumed(job.resume, job.source.etag, job.source.size)
        if parts is None:
            if job.resume:
                self.discard(job.name, job.resume)
            return None
        there: dict[int, str] = {}
        marker = "0"
        while marker:
            query = f"uploadId={quote(parts.upload_id)}&part-number-marker={marker}"
            with self._request("GET", key, query=query, accept=(200, 404)) as answer:
                if answer.status == 404:
                    return None
                tree = ElementTree.fromstring(answer.read())  # noqa: S314 - Google's answer over verified TLS
            for part in tree.iterfind("{*}Part"):
                there[int(part.findtext("{*}PartNumber") or 0)] = part.findtext("{*}ETag") or ""
            more = tree.findtext("{*}IsTruncated") == "true"
            marker = (tree.findtext("{*}NextPartNumberMarker") or "") if more else ""
        parts.keep_only(there)
        return parts

    def _begun(self, key: str, job: Job, journal: Journal) -> Parts:
        if job.token > 1:
            self._abandon(key)
        with self._request("POST", key, query="uploads", headers=self._object_headers()) as answer:
            tree = ElementTree.fromstring(answer.read())  # noqa: S314 - Google's answer over verified TLS
        upload_id = tree.findtext("{*}UploadId") or ""
        parts = Parts(upload_id, self._limits.size_for(job.source.size), job.source.size, job.source.etag)
        with discarding(self, job.name, parts.state, on=Superseded):
            journal.checkpoint(parts.state())
        return parts

    def _abort(self, key: str, upload_id: str) -> None:
        self._request("DELETE", key, query=f"uploadId={quote(upload_id)}", accept=(204, 404)).close()

    def _abandon(self, key: str) -> None:
        """Abort every open upload for the key: what attempts began that died before they could note it.

        Only the bucket's owner may forbid to list them; then its lifecycle rules have to remove them.
        """
        with self._request("GET", "", query=f"uploads&prefix={quote(key)}", accept=(200, 403, 404)) as answer:
            listing = answer.read()
        if answer.status != 200:
            return
        tree = ElementTree.fromstring(listing)  # noqa: S314 - Google's answer over verified TLS
        for upload in tree.iterfind("{*}Upload"):
            if upload.findtext("{*}Key") == key:
                self._abort(key, upload.findtext("{*}UploadId") or "")

    # -- what is there -----------------------------------------------------------------------------------------------

    def _look(self, key: str) -> _Published:
        with self._request("HEAD", key, accept=(200, 404)) as answer:
            return _Published.of(answer)

    def _written_by_another(self, key: str) -> TransferError:
        return TransferError(
            f"gs://{self._config.bucket}/{key} was written by someone else while it was being delivered. Nothing was "
            "overwritten; the next attempt looks again."
        )

    def _withdraw(self, key: str, generation: int) -> None:
        if generation:
            headers = {"x-goog-if-generation-match": str(generation)}
            self._request("DELETE", key, headers=headers, accept=(204, 404, 412)).close()

    def _object_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/octet-stream"}
        if self._config.storage_class:
            headers["x-goog-storage-class"] = self._config.storage_class
        if self._config.kms_key:
            headers["x-goog-encryption-kms-key-name"] = self._config.kms_key
        return headers


class _Upload:
    """The parts of one object."""

    def __init__(self, request: GcsApi, key: str) -> None:
        self._request = request
        self._key = key

    def put(self, upload_id: str, number: int, span: Span) -> str:
        """Send one part and compare what Google computed with what was read."""
        query = f"partNumber={number}&uploadId={quote(upload_id)}"
        with self._request("PUT", self._key, query=query, body=span) as answer:
            require_equal(f"Part {number} of gs://…/{self._key}", _crc32c_of(answer), span.digest.crc32c)
            return answer.headers["etag"]


class _Published:
    """The object at its place, or nothing there: generation 0."""

    def __init__(self, generation: int, crc32c: str | None) -> None:
        self.generation = generation
        self.crc32c = crc32c

    @classmethod
    def of(cls, answer: Response) -> _Published:
        """What the answer's headers say."""
        return cls(int(answer.headers.get("x-goog-generation") or 0), _crc32c_of(answer))


def _crc32c_of(answer: Response) -> str | None:
    for item in (answer.headers.get("x-goog-hash") or "").split(","):
        kind, _, value = item.strip().partition("=")
        if kind == "crc32c":
            return value
    return None
