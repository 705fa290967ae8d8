"""Copies that S3 makes by itself: no byte passes through here, and large objects are copied in many parts at once."""

from __future__ import annotations

from client_delivery.transfer.contract import Job, Journal
from client_delivery.transfer.crew import side_by_side
from client_delivery.transfer.integrity import CRC32C, OwnChecksum
from client_delivery.transfer.objects.api import Stored
from client_delivery.transfer.reading.carried import Carried
from client_delivery.transfer.reading.parts import PartLimits
from client_delivery.transfer.s3.api import S3Api

_WHOLE = 64 * 1024**2
"""Up to this size one CopyObject; above, parts are copied side by side. S3's own limit is 5 GiB."""
_LIMITS = PartLimits(streams=64)


def copy(
    api: S3Api,
    key: str,
    job: Job,
    journal: Journal,
    *,
    own: OwnChecksum | None,
    before: Stored | None,
    about: Carried,
) -> Stored | None:
    """Copy the job's object to ``key``, in the place of what was there ``before``; returns what S3 says it stored.

    S3 computes the kind of checksum that it has of the source, so that both can be compared. Raises
    :class:`~client_delivery.transfer.s3.api.CopyDenied`, :class:`~client_delivery.transfer.objects.api.Occupied`.
    """
    algorithm = own.algorithm if own else CRC32C
    source, size = job.source, job.source.size
    if size <= _WHOLE:
        journal.confirm()
        stored = api.copy(key, source, algorithm, before)
        journal.progress(size)
        return stored
    if job.token > 1:
        for left in api.open_uploads(key):
            api.abort(key, left)
    part_size = _LIMITS.size_for(size)
    upload_id = api.begin(key, about, algorithm)
    etags: dict[int, str] = {}

    def copy_part(number: int) -> None:
        start = (number - 1) * part_size
        end = min(start + part_size, size)
        etags[number] = api.copy_part(key, upload_id, number, source, (start, end))
        journal.progress(end - start)

    try:
        journal.checkpoint({"upload_id": upload_id, "copied": True})  # for the one who will have to remove it
        # They cost no CPU here: all begin at once.
        side_by_side(copy_part, range(1, -(-size // part_size) + 1), _LIMITS.streams, at_first=_LIMITS.streams)
        journal.confirm()
        return api.complete_as(key, upload_id, etags, own, before)
    except BaseException:
        api.abort(key, upload_id)
        raise
