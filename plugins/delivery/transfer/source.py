"""Reads an object of the pick-up, pinned to its ETag: never any other content in its name (R6.4)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from delivery.transfer.contract import IntegrityError, SourceChanged, SourceObject, TransferError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1024 * 1024
"""Bytes held at a time by one stream."""
_ATTEMPTS = 5
_LONGEST_PAUSE = 8.0


class Source:
    """One object, readable from any offset by any number of threads."""

    def __init__(self, s3: S3Client, obj: SourceObject) -> None:
        self._s3 = s3
        self.object = obj
        self._head: Any = None

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``, in pieces of at most :data:`CHUNK`.

        A response that breaks off is asked for again from where it broke off. Raises :class:`SourceChanged` when
        the object is no longer the one that was registered, :class:`TransferError` when S3 does not answer.
        """
        offset, failures = start, 0
        while offset < end:
            try:
                for piece in self._pieces(offset, end):
                    offset += len(piece)
                    failures = 0
                    yield piece
            except _Broken as broken:
                failures += 1
                if failures >= _ATTEMPTS:
                    raise TransferError(
                        f"Reading {self.where} broke off at byte {offset} of {self.object.size}, {failures} times in a "
                        f"row: {broken}."
                    ) from broken
                # Full jitter, so that many streams do not come back at once.
                time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.2 * 2**failures)))  # noqa: S311 - not for secrecy

    def crc32c(self) -> str | None:
        """S3's own CRC32C over the whole object, base64, if it has one."""
        if self._head is None:
            where: dict[str, Any] = {"Bucket": self.object.bucket, "Key": self.object.key, "IfMatch": self._etag}
            self._head = self._explained(lambda: self._s3.head_object(**where, ChecksumMode="ENABLED"))
        whole = self._head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
        return self._head.get("ChecksumCRC32C") if whole else None

    @property
    def where(self) -> str:
        """For messages."""
        return f"s3://{self.object.bucket}/{self.object.key}"

    @property
    def _etag(self) -> str:
        return f'"{self.object.etag}"'

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        from botocore.exceptions import HTTPClientError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

        request: dict[str, Any] = {"Bucket": self.object.bucket, "Key": self.object.key, "IfMatch": self._etag}
        if (start, end) != (0, self.object.size):
            request["Range"] = f"bytes={start}-{end - 1}"
        if self.object.version_id:
            request["VersionId"] = self.object.version_id
        try:
            answer = self._explained(lambda: self._s3.get_object(**request))
        except HTTPClientError as error:
            raise _Broken(str(error)) from error
        body = answer["Body"]
        if "Range" not in request:
            self._head = answer  # of the whole object: it has the checksum as well
        wanted = end - start
        try:
            while wanted:
                piece = body.read(min(CHUNK, wanted))
                if not piece:
                    raise _Broken("the response ended early")
                if len(piece) > wanted:
                    raise IntegrityError(f"{self.where}: S3 sent more bytes than were asked for.")
                wanted -= len(piece)
                yield piece
        except (IncompleteReadError, ResponseStreamingError, ReadTimeoutError, HTTPClientError) as error:
            raise _Broken(type(error).__name__) from error
        finally:
            body.close()

    def _explained(self, call: Any) -> Any:
        from botocore.exceptions import ClientError

        try:
            return call()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("PreconditionFailed", "412"):
                raise SourceChanged(
                    f"{self.where} has changed since it was registered: it no longer has the ETag {self.object.etag}. "
                    "What is there now is a new file, which the next run sends."
                ) from error
            if code in ("NoSuchKey", "404"):
                raise SourceChanged(
                    f"{self.where} is gone: it was removed from the pick-up before it could be sent. Drop it again if "
                    "it is to be sent."
                ) from error
            if code == "InvalidObjectState":
                raise TransferError(
                    f"{self.where} is archived ({error.response['Error'].get('StorageClass', 'Glacier')}) and cannot "
                    "be read. Restore it, then clear the run."
                ) from error
            reason = error.response["Error"].get("Message", "")
            raise TransferError(f"S3 refuses to hand out {self.where}: {reason} [{code}].") from error


class _Broken(Exception):
    """A response that did not come to its end."""


def require_s3_checksum(source: Source, crc32c: str) -> None:
    """Where S3 has a CRC32C of its own over the object, it must be that of the bytes read (R6.4)."""
    own = source.crc32c()
    if own is not None and own != crc32c:
        raise IntegrityError(
            f"{source.where}: the bytes that were read have crc32c:{crc32c}, but S3 says crc32c:{own}. "
            "It is tried again."
        )
