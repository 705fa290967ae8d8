"""Reads an object of the pick-up, pinned to its ETag: never any other content in its name (R6.4)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from client_delivery.runtime.backoff import Backoff
from client_delivery.transfer.contract import (
    IntegrityError,
    Journal,
    SourceChanged,
    SourceObject,
    SourceReplaced,
    TransferError,
)
from client_delivery.transfer.http.pool import BrokenOff, Response, Unreachable, error_code
from client_delivery.transfer.integrity import CRC32C, Digest, OwnChecksum, sha256_of
from client_delivery.transfer.reading.carried import NOTHING, Carried
from client_delivery.transfer.s3_wire.chunked import CHUNK

if TYPE_CHECKING:
    from client_delivery.transfer.s3_wire.access import S3Access
    from client_delivery.transfer.throttle import Throttle

_ATTEMPTS = 5
_BACKOFF = Backoff(first=0.4, longest=8.0)


class Source:
    """One object, readable from any offset by any number of threads."""

    def __init__(self, s3: S3Access, obj: SourceObject) -> None:
        self._s3 = s3
        self.object = obj
        self._lock = threading.Lock()
        self._looked = False
        self._own: OwnChecksum | None = None
        self._own_sha256: str | None = None
        self._carried = NOTHING

    def whole(self, throttle: Throttle) -> tuple[bytes, Digest]:
        """A small object's bytes, by one request, compared with S3's own checksum.

        Raises as :meth:`read` and :meth:`require_same` do.
        """
        content = bytearray(self.object.size)
        filled = 0
        for piece in self.read(0, self.object.size):
            content[filled : filled + len(piece)] = piece
            filled += len(piece)
        step = throttle.piece or CHUNK
        for start in range(0, filled, step):
            throttle.take(min(step, filled - start))
        digest = self.digest()
        digest.update(memoryview(content))
        self.require_same(digest)
        return bytes(content), digest

    def read(self, start: int, end: int) -> Iterator[memoryview]:
        """The bytes from ``start`` to before ``end``, in pieces of :data:`CHUNK`; the last one may be shorter.

        A piece is only valid until the next one is asked for. A response that breaks off is asked for again from
        where it broke off. Raises :class:`SourceChanged` when the object is no longer the one that was registered,
        :class:`TransferError` when S3 does not hand it out.
        """
        buffer = memoryview(bytearray(min(CHUNK, end - start)))
        response: Response | None = None
        offset, failures = start, 0
        try:
            while offset < end:
                piece = buffer[: min(CHUNK, end - offset)]
                filled = 0
                while filled < len(piece):
                    if response is None:
                        response = self._opened(offset + filled, end)
                    try:
                        filled += response.readinto(piece[filled:])
                    except BrokenOff as error:
                        response.close()
                        response = None
                        failures += 1
                        self._pause(failures, offset + filled, error)
                failures = 0
                offset += len(piece)
                yield piece
        finally:
            if response is not None:
                response.close()

    def digest(self) -> Digest:
        """An empty digest that can be compared with S3's own checksum later."""
        own = self.own_checksum()
        return Digest(own.algorithm if own else CRC32C)

    def require_same(self, digest: Digest) -> None:
        """Where S3 has a checksum of its own over the object, it must be that of the bytes that were read."""
        own = self.own_checksum()
        if digest.size != self.object.size or (own is not None and own.value != digest.own_value):
            theirs = f"{own.algorithm}:{own.value}" if own else "no checksum"
            raise IntegrityError(
                f"{self.where}: what was read has {digest.size} bytes and {digest.own}:{digest.own_value}, but S3 "
                f"says {self.object.size} bytes and {theirs}. It will be retried."
            )

    def require_unchanged(self) -> None:
        """Raises :class:`SourceChanged` if the object is no longer the one that was registered."""
        self._request("HEAD", {}).close()

    @property
    def where(self) -> str:
        """For messages."""
        return f"s3://{self.object.bucket}/{self.object.key}"

    def own_checksum(self) -> OwnChecksum | None:
        """The checksum that S3 has of its own over the whole object. Raises as :meth:`read` does."""
        with self._lock:
            if not self._looked:
                self._request("HEAD", {}).close()
            return self._own

    def own_sha256(self) -> str | None:
        """The SHA-256 that S3 has of the whole object, base64; None if it has none. Raises as :meth:`read` does."""
        self.own_checksum()  # the same response tells both
        return self._own_sha256

    def carried(self) -> Carried:
        """What the object carries besides its bytes. Raises as :meth:`read` does."""
        self.own_checksum()  # the same response tells both
        return self._carried

    def _opened(self, start: int, end: int) -> Response:
        whole = (start, end) == (0, self.object.size)
        response = self._request("GET", {} if whole else {"Range": f"bytes={start}-{end - 1}"})
        length = int(response.headers.get("content-length") or -1)
        if length != end - start or response.status != (200 if whole else 206):
            response.close()
            raise IntegrityError(
                f"{self.where}: S3 responded to a request for {end - start} bytes with {length}. It will be retried."
            )
        return response

    def _request(self, method: str, headers: Mapping[str, str]) -> Response:
        asked = {"If-Match": f'"{self.object.etag}"', "X-Amz-Checksum-Mode": "ENABLED", **headers}
        query = {"versionId": self.object.version_id} if self.object.version_id else {}
        try:
            response = self._s3.exchange(method, self.object.bucket, self.object.key, query=query, headers=asked)
        except Unreachable as error:
            raise TransferError(f"S3 cannot be reached to read {self.where}: {error}. It will be retried.") from error
        if response.status not in (200, 206):
            with response:
                raise self._refused(response)
        if response.status == 200:
            self._carried = Carried.of(response.headers)
            self._own_sha256 = sha256_of(response.headers)
            self._own, self._looked = OwnChecksum.of(response.headers), True
        return response

    def _refused(self, response: Response) -> TransferError:
        code, reason = error_code(response)
        if response.status == 412:
            return SourceReplaced(
                f"{self.where} has changed since it was registered: it no longer has the ETag {self.object.etag}. "
                "The object that is there now is a new file. The next run sends it; for a client with a done file, "
                "the run with the next done file does."
            )
        if response.status == 404 and code != "NoSuchBucket":
            return SourceChanged(
                f"{self.where} is gone: it was removed from the pick-up before it could be sent. Drop it again to "
                "have it sent."
            )
        if code == "InvalidObjectState":
            return TransferError(f"{self.where} is archived and cannot be read. Restore it, then clear the run.")
        region = response.headers.get("x-amz-bucket-region")
        if region and region != self._s3.client.meta.region_name:
            reason = f"{reason}; the bucket is in {region}: is pickup.region right?"
        return TransferError(f"S3 refuses to return {self.where}: {reason} [{code}].")

    def _pause(self, failures: int, offset: int, error: Exception) -> None:
        if failures >= _ATTEMPTS:
            raise TransferError(
                f"Reading {self.where} broke off at byte {offset} of {self.object.size}, {failures} times in a row: "
                f"{error}."
            ) from error
        _BACKOFF.wait(failures)


class Span:
    """Some of the object, for a request's body: read and counted again for every try.

    :param source: read from ``start`` to before ``end``.
    """

    def __init__(self, source: Source, start: int, end: int, journal: Journal, throttle: Throttle) -> None:
        self._source = source
        self._start = start
        self._end = end
        self._journal = journal
        self._throttle = throttle
        self._moved = 0
        self.digest = source.digest()
        """Of the latest try."""

    def __len__(self) -> int:
        return self._end - self._start

    def __iter__(self) -> Iterator[memoryview]:
        self._journal.progress(-self._moved)
        self._moved = 0
        self.digest = self._source.digest()
        most = self._throttle.piece or CHUNK
        for chunk in self._source.read(self._start, self._end):
            for start in range(0, len(chunk), most):
                piece = chunk[start : start + most]
                self._throttle.take(len(piece))
                self.digest.update(piece)
                yield piece
                self._moved += len(piece)
                self._journal.progress(len(piece))
