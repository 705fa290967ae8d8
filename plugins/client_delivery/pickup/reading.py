"""What tells a file by its bytes: what S3 knows of its content, or the CRC64NVME of an object that is read for it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from client_delivery.ledger.identity import Fingerprint
from client_delivery.pickup.place import CONFLICT, PARALLEL, Place, explained, version_of

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile

_CHUNK = 1024**2
_REFUSALS = 3
"""How often an object is asked for that may not be read."""
_GONE = frozenset({404, 405, 412, 416})
"""No such key or version; a delete marker; a different object under the key."""
_LOCKED = frozenset(
    {"InvalidRequest", "KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException"}
)
"""Encrypted with the sender's own key (SSE-C), or with one of KMS that is disabled or deleted. S3 responds with 400."""


@dataclass(slots=True)
class _Computed:
    """Of bytes that were read."""

    size: int = 0
    crc64nvme: int = 0
    crc32: int = 0
    crc32c: int = 0

    @classmethod
    def of(cls, pieces: Iterable[bytes]) -> Self:
        """Of bytes as they come."""
        from awscrt import checksums

        found = cls()
        for piece in pieces:
            found.size += len(piece)
            found.crc64nvme = checksums.crc64nvme(piece, found.crc64nvme)
            found.crc32 = checksums.crc32(piece, found.crc32)
            found.crc32c = checksums.crc32c(piece, found.crc32c)
        return found

    def agrees_with(self, file: PickupFile) -> bool:
        """Whether these are the bytes of which S3 said this size and, where it has one, this 32-bit checksum."""
        theirs = {
            one
            for name, value in (("crc32", self.crc32), ("crc32c", self.crc32c))
            for one in Fingerprint.of({name: base64.b64encode(value.to_bytes(4, "big")).decode()}, file.size).weak
        }
        whole = [one for one in file.content.weak if "-" not in one.split(":")[1]]
        return self.size == file.size and theirs.issuperset(whole)


class Reading(Place):
    """Files with what is known of their content."""

    def identify(self, files: Iterable[PickupFile]) -> list[PickupFile]:
        """The files with what S3 knows of their content and version: one HeadObject request each.

        One that has been overwritten since it was listed comes as it is now; one that is gone is left out. Where the
        response is refused, the file comes as it was: reading it will show why.
        """
        waiting = list(files)
        if not waiting:
            return []
        with (
            explained(self._config, "read", waiting[0].key),
            ThreadPoolExecutor(min(PARALLEL, len(waiting))) as pool,
        ):
            return [file for file in pool.map(self._identified, waiting) if file is not None]

    def _identified(self, file: PickupFile) -> PickupFile | None:
        from botocore.exceptions import ClientError

        try:
            # Checksums are only told on demand (API reference, HeadObject: ChecksumMode).
            head = self._s3.head_object(Bucket=file.bucket, Key=file.key, ChecksumMode="ENABLED")
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return None
            if 400 <= status < 500:
                return file
            raise
        return replace(
            file,
            etag=head["ETag"].strip('"'),
            size=head["ContentLength"],
            last_modified=head["LastModified"],
            version_id=version_of(head),
            content=Fingerprint.of_head(head),
        )

    def read(self, files: Iterable[PickupFile]) -> list[PickupFile]:
        """The files with the CRC64NVME of their content, which is read for it. One that may not be read, or has
        changed, comes as it was: the attempt to send it will tell.

        Raises :class:`PickupError` where S3 is in trouble: what could be read a moment later is not taken for unknown.
        """
        waiting = list(files)
        if not waiting:
            return []
        with explained(self._config, "read", waiting[0].key), ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(self._read, waiting))

    def read_again(self, past: Iterable[tuple[PickupFile, str | None]]) -> list[PickupFile]:
        """The same of files that have been dealt with, each with the place of its archived copy, if it has one (R5.8).

        Read is the object's version, which a bucket that keeps versions has under its delete marker; the object itself,
        where it was left; the archived copy, if it agrees with what S3 said of the file. One of which nothing is left,
        or may be read, comes as it was. Raises :class:`PickupError` as :meth:`read` does.
        """
        files = list(past)
        if not files:
            return []
        with explained(self._config, "read", files[0][0].key), ThreadPoolExecutor(PARALLEL) as pool:
            return list(pool.map(lambda one: self._read_again(*one), files))

    def _read(self, file: PickupFile) -> PickupFile:
        found = self._computed({"Bucket": file.bucket, "Key": file.key, "IfMatch": f'"{file.etag}"'})
        return file if found is None else replace(file, content=file.content.with_crc64nvme(found.crc64nvme, file.size))

    def _read_again(self, file: PickupFile, archived: str | None) -> PickupFile:
        place = {"Bucket": file.bucket, "Key": file.key, "IfMatch": f'"{file.etag}"'}
        found = self._computed({**place, "VersionId": file.version_id} if file.version_id else place)
        if found is None and archived is not None:
            bucket, _, key = archived.removeprefix("s3://").partition("/")
            copy = self._computed({"Bucket": bucket, "Key": key})
            # Anybody may have put something else there: its size and its checksum must be the file's.
            found = copy if copy and copy.agrees_with(file) else None
        return file if found is None else replace(file, content=file.content.with_crc64nvme(found.crc64nvme, file.size))

    def _computed(self, request: Mapping[str, Any]) -> _Computed | None:
        """The checksums of an object's bytes, which are read for it; None where it is gone, or may not be read."""
        from botocore.exceptions import ClientError

        for refusals in range(1, _REFUSALS + 1):
            try:
                response = self._s3.get_object(**request)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status in _GONE or error.response["Error"]["Code"] in _LOCKED:
                    return None
                if status != 403:
                    raise
                # A role that was changed just now, or a clock that is wrong, refuses for a moment.
                if refusals < _REFUSALS:
                    CONFLICT.wait(refusals)
            else:
                with closing(response["Body"]) as body:
                    return _Computed.of(body.iter_chunks(_CHUNK))
        return None
