"""How a file becomes an object, for every service: small ones in one request, larger ones in parts.

The service's response is the proof of a delivery: it has compared the checksum. A recipient may take the object away
at once. The request that makes an object visible only holds in the place of what was looked at, where the service
documents that it honours this; where it does not, everything that could still overwrite is closed right before
(R3.5, ``docs/developers/conditional-requests.md``). An account that may only create objects delivers everything that
is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from client_delivery.transfer.contract import (
    IntegrityError,
    Job,
    Journal,
    Receipt,
    Refused,
    Superseded,
    TooLarge,
    TransferError,
    discarding,
)
from client_delivery.transfer.integrity import CRC32C, Digest, OwnChecksum
from client_delivery.transfer.naming import object_key
from client_delivery.transfer.objects.api import LookDenied, ObjectApi, Occupied, Stored
from client_delivery.transfer.reading.carried import NOTHING, Carried
from client_delivery.transfer.reading.parts import PartLimits, Parts, Slots, upload_parts
from client_delivery.transfer.reading.source import Source, Span
from client_delivery.transfer.throttle import Throttle

if TYPE_CHECKING:
    from client_delivery.transfer.s3_wire.access import S3Access


class ObjectDestination:
    """One client's bucket and prefix.

    :param small: up to so many bytes an object is written by one request.
    """

    parallel_jobs = 16

    def __init__(
        self,
        api: ObjectApi,
        source_s3: S3Access,
        *,
        prefix: str,
        bytes_per_second: int | None,
        keep_metadata: bool,
        small: int,
        limits: PartLimits | None = None,
    ) -> None:
        self._api = api
        self._source_s3 = source_s3
        self._prefix = prefix
        self._keep_metadata = keep_metadata
        self._small = small
        self._throttle = Throttle(bytes_per_second)
        self._may_be_overwritten = not api.fences_completion
        """Whether somebody else can come in between the last look and the completion of a large object."""
        self._limits = limits or PartLimits(slots=Slots(self._throttle.streams(32)))

    def __enter__(self) -> Self:
        # Looking at the bucket would need a permission that delivering does not: the first file shows if it is there.
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file."""
        key = object_key(self._prefix, job.name)
        if job.source.size > self._api.largest:
            raise TooLarge(
                f"{self._api.uri(key)} would have {job.source.size} bytes, but an object there can have at most "
                f"{self._api.largest}. Nothing was sent. Have the file split before it is dropped."
            )
        return self._deliver(key, job, Source(self._source_s3, job.source), journal)

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Abort the multipart upload that an attempt left open; if none is noted, whatever is open for that name."""
        place = self._assembly_place(object_key(self._prefix, name))
        if "upload_id" in resume:
            self._api.abort(place, resume["upload_id"])
        else:
            self._abandon(place)

    def _deliver(self, key: str, job: Job, source: Source, journal: Journal) -> Receipt:
        if job.source.size <= self._small:
            return self._put_whole(key, source, journal)
        return self._put_parts(key, job, source, journal)

    # -- one request -------------------------------------------------------------------------------------------------

    def _put_whole(self, key: str, source: Source, journal: Journal) -> Receipt:
        # Under a bandwidth limit it waits for its turn like a part: what waits inside a request must not wait for it.
        with self._limits.slots if self._throttle.limits else nullcontext():
            content, digest = source.whole(self._throttle)
        about = self._carried(source)
        journal.confirm()
        # Most names are new: only if this one is not does it cost a look at what is there.
        try:
            stored = self._api.put(key, content, digest, None, about)
        except Occupied as occupied:
            stored = self._replaced(key, (content, digest, about), journal, occupied)
        journal.progress(len(content))
        return replace(self._verified(key, stored, source, _checksum(digest)), crc64nvme=digest.crc64nvme)

    def _replaced(self, key: str, new: tuple[bytes, Digest, Carried], journal: Journal, occupied: Occupied) -> Stored:
        content, digest, about = new
        there = self._seen(key, occupied)
        if occupied.repeated and there is not None and there.checksum == _checksum(digest):
            return there
        journal.confirm()
        try:
            return self._api.put(key, content, digest, there, about)
        except Occupied as error:
            return self._ours(key, there, _checksum(digest), error)

    # -- in parts ----------------------------------------------------------------------------------------------------

    def _put_parts(self, key: str, job: Job, source: Source, journal: Journal) -> Receipt:
        before = self._there(key)
        parts, assembled = self._resumed(key, job)
        about = self._carried(source)
        parts = parts or self._begun(key, job, about, journal)
        with discarding(self, job.name, parts.state, on=IntegrityError):
            if assembled is None:
                upload = _Upload(self._api, self._assembly_place(key))
                digest = upload_parts(
                    source, upload, parts, journal=journal, throttle=self._throttle, limits=self._limits
                )
            else:
                digest = parts.whole(source.digest())
                journal.resumed(parts.size)
            source.require_same(digest)
            stored = assembled or self._completed(key, parts, digest, before, journal)
            stored = self._published(key, stored, digest, before, about=about, journal=journal)
        receipt = self._verified(key, stored, source, _checksum(digest), look=self._may_be_overwritten)
        return replace(receipt, crc64nvme=digest.crc64nvme)

    def _resumed(self, key: str, job: Job) -> tuple[Parts | None, Stored | None]:
        """What an earlier attempt left: its parts, and what they have been put together to if that was lost."""
        parts = Parts.resumed(job.resume, job.source.etag, job.source.size)
        if parts is None:
            if job.resume:
                self.discard(job.name, job.resume)
            return None, None
        place = self._assembly_place(key)
        there = self._api.parts(place, parts.upload_id)
        if there is not None:
            parts.keep_only(there)
            return parts, None
        # The upload may be gone because it was completed, and only the response never arrived.
        if not parts.missing():
            found = self._there(place)
            if found is not None and found.checksum == _checksum(parts.whole(Digest())):
                return parts, found
        self._api.abort(place, parts.upload_id)  # still there where its parts may not be listed
        return None, None

    def _begun(self, key: str, job: Job, about: Carried, journal: Journal) -> Parts:
        place = self._assembly_place(key)
        if job.token > 1:
            self._abandon(place)
        size = job.source.size
        parts = Parts(self._api.begin(place, about), self._limits.size_for(size), size, job.source.etag)
        with discarding(self, job.name, parts.state, on=Superseded):
            journal.checkpoint(parts.state())
        return parts

    def _completed(self, key: str, parts: Parts, digest: Digest, before: Stored | None, journal: Journal) -> Stored:
        """Put the parts together, in the place of what was there ``before``."""
        journal.confirm()
        if not self._api.fences_completion:
            self._close_in(key, parts.upload_id, before)
        try:
            return self._api.complete(key, parts.upload_id, parts.part_etags, digest, before)
        except Occupied as error:
            return self._ours(key, before, _checksum(digest), error)

    def _close_in(self, key: str, upload_id: str, before: Stored | None) -> None:
        """If completing overwrites whatever is there: let nobody else complete, and look again right before.

        An attempt that wakes up after this one finds its upload gone, whichever of the two is the newer.
        """
        for other in self._api.open_uploads(key):
            if other != upload_id:
                self._api.abort(key, other)
        now = self._there(key)
        if _tag(now) != _tag(before):
            raise self._written_by_another(key)

    def _assembly_place(self, key: str) -> str:
        """Under which key the parts are put together: the file's own, so that completing makes it visible."""
        return key

    def _published(
        self, key: str, assembled: Stored, digest: Digest, before: Stored | None, *, about: Carried, journal: Journal
    ) -> Stored:
        """Make visible what has been put together elsewhere."""
        return assembled

    def _abandon(self, key: str) -> None:
        """Abort every open upload for the key: what attempts began that died before they could note it."""
        for upload_id in self._api.open_uploads(key):
            self._api.abort(key, upload_id)

    def _carried(self, source: Source) -> Carried:
        """What the object is to carry besides its bytes."""
        return source.carried() if self._keep_metadata else NOTHING

    # -- what is there -----------------------------------------------------------------------------------------------

    def _there(self, key: str) -> Stored | None:
        """What is at the place. Nothing, as far as an account can know that may not look."""
        try:
            return self._api.look(key)
        except LookDenied:
            return None

    def _seen(self, key: str, occupied: Occupied) -> Stored | None:
        """What is at the place, when a request came too late for it to be written."""
        try:
            return self._api.look(key)
        except LookDenied as denied:
            uri = self._api.uri(key)
            if occupied.repeated or occupied.upload_gone:
                raise Refused(
                    f"It is not known whether {uri} has arrived: the response to the last request was "
                    f"lost, and the account may not read what is there now: {denied} Ask the recipient; if the file is "
                    "there, remove it from the pick-up."
                ) from denied
            raise Refused(
                f"There is already an object at {uri}, and it is never overwritten without a check: {denied} Have the "
                "recipient remove it, or allow the account to read and overwrite objects."
            ) from denied

    def _ours(self, key: str, before: Stored | None, expected: OwnChecksum | None, occupied: Occupied) -> Stored:
        """The request was refused: an earlier try of it may have taken effect although its response was lost."""
        now = self._seen(key, occupied)
        if now is None or _tag(now) == _tag(before) or expected is None or now.checksum != expected:
            raise self._written_by_another(key) from occupied
        return now

    def _verified(
        self, key: str, stored: Stored | None, source: Source, expected: OwnChecksum | None, *, look: bool = False
    ) -> Receipt:
        """What the service says it stores, against what was read (R6.4).

        Its response to the last request is the proof. Where that does not say enough it is looked at, and so it is
        where somebody else could have overwritten it (``look``). A recipient may have taken it away by then.
        """
        uri, size, remark, now = self._api.uri(key), source.object.size, None, None
        known_by_tag = stored is not None and bool(stored.tag)
        proven = stored is not None and expected is not None and stored.checksum == expected
        if look or expected is None or stored is None or stored.checksum is None:
            with suppress(TransferError) if proven else nullcontext():
                now = self._there(key)
            if now is not None and stored is not None and known_by_tag and now.tag != stored.tag:
                remark = f"Somebody else has overwritten {uri} right after it was delivered."
            elif now is not None:
                stored = now
        comparable = stored is not None and expected is not None and stored.algorithm == expected.algorithm
        if stored is None or expected is None or not comparable:
            if stored is not None and stored.size not in (None, size):
                raise IntegrityError(f"{uri} has {stored.size} bytes, but {size} were sent. It will be retried.")
            read = expected or (stored.checksum if stored else None) or OwnChecksum("etag", source.object.etag)
            how = "size" if stored is not None and stored.size is not None else "acknowledged"
            return Receipt(uri, size, f"{read.algorithm}:{read.value}", how, remark)
        if stored.checksum != expected:
            if known_by_tag:
                self._api.withdraw(key, stored)
            raise IntegrityError(
                f"{uri} has a different {expected.algorithm} checksum from the bytes read from S3, which have "
                f"{expected.value}. The file does not count as delivered and will be retried."
            )
        return Receipt(uri, size, f"{expected.algorithm}:{expected.value}", "checksum", remark)

    def _written_by_another(self, key: str) -> TransferError:
        return TransferError(
            f"{self._api.uri(key)} was written by someone else while it was being delivered. Nothing was "
            "overwritten; the next attempt checks again."
        )


class _Upload:
    """The parts of one object."""

    def __init__(self, api: ObjectApi, key: str) -> None:
        self._api = api
        self._key = key

    def put(self, upload_id: str, number: int, span: Span) -> str:
        """Send one part; its checksum is compared with the span's."""
        return self._api.put_part(self._key, upload_id, number, span)


def _tag(stored: Stored | None) -> str | None:
    return stored.tag if stored else None


def _checksum(digest: Digest) -> OwnChecksum:
    return OwnChecksum(CRC32C, digest.crc32c)
