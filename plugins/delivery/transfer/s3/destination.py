"""Another S3 location (R1.3): copied by S3 itself where the writing role may read the source, streamed otherwise.

Either way S3 computes a checksum of what it stores, large objects go in parts, and the object appears whole or not at
all, in the place of what was looked at: an attempt that has been overtaken changes nothing (R3.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from delivery.transfer.contract import (
    IntegrityError,
    Job,
    Journal,
    Receipt,
    Superseded,
    TransferError,
    discarding,
)
from delivery.transfer.integrity import CRC32C, OwnChecksum
from delivery.transfer.naming import object_key
from delivery.transfer.parts import PartLimits, Parts, upload_parts
from delivery.transfer.s3.access import Held, S3Access
from delivery.transfer.s3.api import CopyDenied, Occupied, S3Api, Stored
from delivery.transfer.s3.copying import copy
from delivery.transfer.source import Source, Span
from delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from delivery.config.model import S3Destination

_SMALL = 8 * 1024**2


class S3Target:
    """One client's bucket and prefix in S3."""

    parallel_jobs = 16

    def __init__(
        self,
        config: S3Destination,
        source_s3: S3Access,
        destination_s3: S3Access,
        *,
        small: int = _SMALL,
        limits: PartLimits | None = None,
    ) -> None:
        self._config = config
        self._source_s3 = source_s3
        self._api = S3Api(config, destination_s3)
        self._small = small
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
        resume = dict(job.resume or {})
        if resume.get("copied"):
            self.discard(job.name, resume)  # copies are quick, and begin anew
            resume = {}
        if self._may_copy and not resume:
            try:
                return self._copied(key, job, source, journal)
            except CopyDenied:
                self._may_copy = False
        if job.source.size <= self._small:
            return self._put_whole(key, source, journal)
        return self._put_parts(key, job, resume, source, journal)

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Abort the multipart upload that an attempt left open; if none is noted, whatever is open for that name."""
        key = object_key(self._config.prefix, name)
        if "upload_id" in resume:
            self._api.abort(key, resume["upload_id"])
        else:
            self._api.abandon(key)

    def _copied(self, key: str, job: Job, source: Source, journal: Journal) -> Receipt:
        there = self._api.look(key)
        own = source.own_checksum()
        try:
            copy(self._api, key, job, journal, own=own, there=there)
        except Occupied as error:
            source.require_unchanged()
            self._require_ours(key, there, own, error)
        return self._verified(key, source, self._api.look(key), own)

    def _put_whole(self, key: str, source: Source, journal: Journal) -> Receipt:
        content, digest = source.whole(self._throttle)
        expected = OwnChecksum(CRC32C, digest.crc32c)
        journal.confirm()
        # Most names are new: only if this one is not does it cost a look at what is there.
        try:
            self._api.put(key, Held(content, digest), None)
        except Occupied as occupied:
            there = self._api.look(key)
            if not (occupied.repeated and there and there.checksum == expected):
                journal.confirm()
                try:
                    self._api.put(key, Held(content, digest), there.etag if there else None)
                except Occupied as error:
                    raise self._written_by_another(key) from error
        journal.progress(len(content))
        # S3 has compared the checksum before it stored anything.
        return Receipt(self._api.uri(key), len(content), f"{CRC32C}:{digest.crc32c}", "checksum")

    def _put_parts(self, key: str, job: Job, resume: Mapping[str, Any], source: Source, journal: Journal) -> Receipt:
        there = self._api.look(key)
        parts = self._resumed(key, job, resume) or self._begun(key, job, journal)
        upload = _Upload(self._api, key)
        with discarding(self, job.name, parts.state, on=IntegrityError):
            digest = upload_parts(source, upload, parts, journal=journal, throttle=self._throttle, limits=self._limits)
            source.require_same(digest)
            expected = OwnChecksum(CRC32C, digest.crc32c)
            journal.confirm()
            try:
                # S3 completes only if what it has is what was read: a wrong byte never becomes visible.
                self._api.complete(key, parts.upload_id, parts.part_etags, expected, there.etag if there else None)
            except Occupied as error:
                self._require_ours(key, there, expected, error)
        return self._verified(key, source, self._api.look(key), expected)

    def _resumed(self, key: str, job: Job, resume: Mapping[str, Any]) -> Parts | None:
        parts = Parts.resumed(resume, job.source.etag, job.source.size)
        if parts is None:
            if resume:
                self.discard(job.name, resume)
            return None
        there = self._api.parts(key, parts.upload_id)
        if there is None:
            return None
        parts.keep_only(there)
        return parts

    def _begun(self, key: str, job: Job, journal: Journal) -> Parts:
        if job.token > 1:
            self._api.abandon(key)
        size = job.source.size
        parts = Parts(self._api.begin(key, CRC32C), self._limits.size_for(size), size, job.source.etag)
        with discarding(self, job.name, parts.state, on=Superseded):
            journal.checkpoint(parts.state())
        return parts

    def _verified(self, key: str, source: Source, stored: Stored | None, expected: OwnChecksum | None) -> Receipt:
        """What S3 says it stores, against what was read, or what S3 says it copied (R6.4)."""
        uri, size = self._api.uri(key), source.object.size
        if stored is None or stored.size != size:
            found = f"{stored.size} bytes" if stored else "nothing"
            raise IntegrityError(f"{uri}: there is {found}, but {size} bytes were sent. It is tried again.")
        if expected is None or stored.checksum is None:
            known = stored.checksum or expected or OwnChecksum("etag", source.object.etag)
            return Receipt(uri, size, f"{known.algorithm}:{known.value}", "size")
        if stored.checksum != expected:
            raise IntegrityError(
                f"{uri} has the checksum {stored.checksum.algorithm}:{stored.checksum.value}, but expected is "
                f"{expected.algorithm}:{expected.value}. It does not count as delivered; it is tried again."
            )
        return Receipt(uri, size, f"{expected.algorithm}:{expected.value}", "checksum")

    def _require_ours(self, key: str, before: Stored | None, expected: OwnChecksum | None, error: Exception) -> None:
        """An earlier try of the request that was refused may have taken effect although its answer was lost."""
        now = self._api.look(key)
        if now is None or now == before or expected is None or now.checksum != expected:
            raise self._written_by_another(key) from error

    def _written_by_another(self, key: str) -> TransferError:
        return TransferError(
            f"{self._api.uri(key)} was written by someone else while it was being delivered. Nothing was overwritten; "
            "the next attempt looks again."
        )


class _Upload:
    """The parts of one object."""

    def __init__(self, api: S3Api, key: str) -> None:
        self._api = api
        self._key = key

    def put(self, upload_id: str, number: int, span: Span) -> str:
        """Send one part; S3 refuses it if its checksum is not the span's."""
        return self._api.put_part(self._key, upload_id, number, span)
