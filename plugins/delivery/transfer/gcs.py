"""Google Cloud Storage (R1.1): small files in one request, larger ones as an XML multipart upload.

Every request carries or is answered with a CRC32C, the bytes' own checksum is compared with it before the object
becomes visible, and the completing request only holds for the generation seen at the start: an attempt that has
been overtaken changes nothing (R3.5). Each stream holds one piece of at most 1 MiB; a small file is held whole.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from delivery.transfer.contract import DestinationUnavailable, IntegrityError, Job, Journal, Receipt, TransferError
from delivery.transfer.google_credentials import credentials_from
from delivery.transfer.integrity import Crc32c, require_equal
from delivery.transfer.naming import object_key
from delivery.transfer.parts import PartLimits, Parts, upload_parts
from delivery.transfer.source import Source, require_s3_checksum
from delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from delivery.config.model import GcsDestination
    from delivery.secret import Secret

_SMALL = 4 * 1024**2
_TIMEOUT = (10, 120)
_ATTEMPTS = 6
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class GcsTarget:
    """One client's bucket and prefix."""

    parallel_jobs = 16

    def __init__(
        self,
        config: GcsDestination,
        secret: Secret,
        source_s3: S3Client,
        endpoint: str,
        *,
        small: int = _SMALL,
        limits: PartLimits | None = None,
    ) -> None:
        self._config = config
        self._s3 = source_s3
        self._endpoint = endpoint.rstrip("/")
        self._small = small
        self._limits = limits or PartLimits()
        self._throttle = Throttle(config.max_bytes_per_second)
        self._credentials = credentials_from(secret)
        self._thread = threading.local()

    def __enter__(self) -> Self:
        # Looking at the bucket would need a permission that delivering does not: the first file shows if it is there.
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file."""
        key = object_key(self._config.prefix, job.name)
        source = Source(self._s3, job.source)
        generation = self._generation(key)
        if job.source.size <= self._small:
            checksum, answer = self._put_whole(key, source, journal, generation)
        else:
            checksum, answer = self._put_parts(key, job, source, journal, generation)
        stored = _crc_of(answer)
        uri = f"gs://{self._config.bucket}/{key}"
        if stored is None or stored != checksum.base64:
            self._withdraw(key, answer.headers.get("x-goog-generation"))
            require_equal(uri, stored, checksum.base64)
        return Receipt(uri, job.source.size, f"crc32c:{checksum.base64}", "checksum")

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Abort the multipart upload that an attempt left open."""
        if "upload_id" in resume:
            key = object_key(self._config.prefix, name)
            self._request("DELETE", key, query=f"uploadId={quote(resume['upload_id'])}", accept=(204, 404))

    # -- one request -------------------------------------------------------------------------------------------------

    def _put_whole(self, key: str, source: Source, journal: Journal, generation: int) -> tuple[Crc32c, Any]:
        checksum = Crc32c()
        content = b"".join(checksum.over(source.read(0, source.object.size)))
        self._throttle.take(len(content))
        require_s3_checksum(source, checksum.base64)
        journal.confirm()
        headers = {**self._object_headers(), "x-goog-hash": f"crc32c={checksum.base64}"}
        answer = self._publish("PUT", key, generation, checksum, data=content, headers=headers)
        journal.progress(len(content))
        return checksum, answer

    # -- multipart ---------------------------------------------------------------------------------------------------

    def _put_parts(self, key: str, job: Job, source: Source, journal: Journal, generation: int) -> tuple[Crc32c, Any]:
        parts = self._resumed(key, job) or self._begun(key, job, journal)
        checksum = upload_parts(job, source, _Upload(self, key), parts, journal, self._throttle, self._limits.streams)
        require_s3_checksum(source, checksum.base64)
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, (etag, _) in sorted(parts.done.items())
        )
        body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
        journal.confirm()
        query = f"uploadId={quote(parts.upload_id)}"
        return checksum, self._publish("POST", key, generation, checksum, data=body, query=query)

    def _resumed(self, key: str, job: Job) -> Parts | None:
        parts = Parts.resumed(job.resume, job.source.etag)
        if parts is None:
            if job.resume:
                self.discard(job.name, job.resume)
            return None
        # The service is asked what it has: only that counts, whatever the checkpoint says.
        there: dict[int, str] = {}
        marker = "0"
        while marker:
            query = f"uploadId={quote(parts.upload_id)}&part-number-marker={marker}"
            answer = self._request("GET", key, query=query, accept=(200, 404))
            if answer.status_code == 404:
                return None
            tree = ElementTree.fromstring(answer.content)  # noqa: S314 - Google's answer over verified TLS
            for part in tree.iterfind("{*}Part"):
                there[int(part.findtext("{*}PartNumber") or 0)] = part.findtext("{*}ETag") or ""
            more = tree.findtext("{*}IsTruncated") == "true"
            marker = (tree.findtext("{*}NextPartNumberMarker") or "") if more else ""
        parts.done = {
            number: part
            for number, part in parts.done.items()
            if there.get(number, "").strip('"') == part[0].strip('"')
        }
        return parts

    def _begun(self, key: str, job: Job, journal: Journal) -> Parts:
        answer = self._request("POST", key, query="uploads", headers=self._object_headers())
        tree = ElementTree.fromstring(answer.content)  # noqa: S314 - Google's answer over verified TLS
        upload_id = tree.findtext("{*}UploadId") or ""
        parts = Parts(upload_id, self._limits.size_for(job.source.size), job.source.etag)
        journal.checkpoint(parts.state())
        return parts

    # -- requests ----------------------------------------------------------------------------------------------------

    def _publish(self, method: str, key: str, generation: int, checksum: Crc32c, **request: Any) -> Any:
        """The request that makes the object visible, once, if nobody else has written it since the start."""
        headers = {**request.pop("headers", {}), "x-goog-if-generation-match": str(generation)}
        # 404 is "no such upload": completed by an earlier try, or aborted.
        accept = (200, 404, 412) if method == "POST" else (200, 412)
        answer = self._request(method, key, headers=headers, accept=accept, **request)
        if answer.status_code == 200:
            return answer if _crc_of(answer) else self._request("HEAD", key)
        # An earlier try of this very request may have taken effect although its answer was lost.
        there = self._request("HEAD", key, accept=(200, 404))
        if there.status_code == 200 and _crc_of(there) == checksum.base64:
            return there
        raise TransferError(
            f"gs://{self._config.bucket}/{key} was written by someone else while it was being delivered "
            f"[{answer.status_code}]. Nothing was overwritten; the next attempt looks again."
        )

    def _generation(self, key: str) -> int:
        answer = self._request("HEAD", key, accept=(200, 404))
        return int(answer.headers["x-goog-generation"]) if answer.status_code == 200 else 0

    def _withdraw(self, key: str, generation: str | None) -> None:
        if generation:
            headers = {"x-goog-if-generation-match": generation}
            self._request("DELETE", key, headers=headers, accept=(204, 404, 412))

    def _object_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/octet-stream"}
        if self._config.storage_class:
            headers["x-goog-storage-class"] = self._config.storage_class
        if self._config.kms_key:
            headers["x-goog-encryption-kms-key-name"] = self._config.kms_key
        return headers

    def _request(
        self,
        method: str,
        key: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        accept: tuple[int, ...] = (200,),
    ) -> Any:
        """One call, tried again with growing, jittered pauses while the trouble is of the passing kind."""
        import requests
        from google.auth.exceptions import GoogleAuthError

        url = f"{self._endpoint}/{self._config.bucket}/{quote(key, safe='/~')}".rstrip("/" if not key else "")
        url = f"{url}?{query}" if query else url
        project = {"x-goog-user-project": self._config.project} if self._config.project else {}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._session.request(
                    method, url, headers={**project, **(headers or {})}, data=data, timeout=_TIMEOUT
                )
            except GoogleAuthError as error:
                raise DestinationUnavailable(
                    f"Google refuses the credential in the Airflow connection {self._config.connection_id!r} "
                    f"({type(error).__name__}): it has expired, was revoked or is malformed. Store a valid one."
                ) from None
            except requests.RequestException as error:
                if attempt == _ATTEMPTS or not _repeatable(data):
                    raise TransferError(
                        f"Google Cloud Storage at {self._endpoint} cannot be reached ({type(error).__name__}). Check "
                        "the network's way out; it is tried again."
                    ) from error
            else:
                if answer.status_code in accept:
                    return answer
                if answer.status_code not in _PASSING or attempt == _ATTEMPTS or not _repeatable(data):
                    raise self._refused(answer, key)
            time.sleep(random.uniform(0, min(16.0, 0.25 * 2**attempt)))  # noqa: S311 - not for secrecy
        raise AssertionError

    def _refused(self, answer: Any, key: str) -> TransferError:
        status, bucket = answer.status_code, self._config.bucket
        code = answer.text.partition("<Code>")[2].partition("</Code>")[0] or str(status)
        if code == "NoSuchBucket":
            return DestinationUnavailable(
                f"Google Cloud Storage has no bucket {bucket!r}. Correct destination.bucket, or have it created."
            )
        if status == 401:
            return DestinationUnavailable(
                f"Google refuses the credential in the Airflow connection {self._config.connection_id!r} [{code}]. "
                "Store a valid one."
            )
        if status == 403:
            return DestinationUnavailable(
                f"Access to gs://{bucket} is denied [{code}]. The account in {self._config.connection_id!r} needs "
                "storage.objects.create, .get and .delete, and storage.multipartUploads.* on it."
            )
        if code == "BadDigest":
            return IntegrityError(
                f"gs://{bucket}/{key}: the bytes did not arrive as they were sent. It is tried again."
            )
        return TransferError(f"Google Cloud Storage refuses gs://{bucket}/{key}: {code} [{status}].")

    @property
    def _session(self) -> Any:
        """A connection pool for each thread: requests' sessions are not made for sharing."""
        if not hasattr(self._thread, "session"):
            from google.auth.transport.requests import AuthorizedSession

            self._thread.session = AuthorizedSession(self._credentials)
        return self._thread.session


class _Upload:
    """The parts of one object."""

    def __init__(self, target: GcsTarget, key: str) -> None:
        self._target = target
        self._key = key

    def put(self, upload_id: str, number: int, size: int, pieces: Iterator[bytes], checksum: Crc32c) -> str:
        """Send one part and compare what Google computed with what was read."""
        answer = self._target._request(
            "PUT", self._key, query=f"partNumber={number}&uploadId={quote(upload_id)}", data=_Body(pieces, size)
        )
        require_equal(f"Part {number} of gs://…/{self._key}", _crc_of(answer), checksum.base64)
        return str(answer.headers["ETag"])


class _Body:
    """Pieces of a known total length, as ``requests`` streams them without chunked encoding."""

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def read(self, _amount: int = -1) -> bytes:
        """The next piece; http.client asks like this."""
        return next(self._pieces, b"")


def _repeatable(data: Any) -> bool:
    return data is None or isinstance(data, bytes)


def _crc_of(answer: Any) -> str | None:
    for item in (answer.headers.get("x-goog-hash") or "").split(","):
        kind, _, value = item.strip().partition("=")
        if kind == "crc32c":
            return value
    return None
