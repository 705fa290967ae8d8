"""Another S3 location (R1.3): copied by S3 itself where the writing role may read the source, streamed otherwise.

Either way S3 computes a checksum of what it stores, large objects go in parts, and the object appears whole or not at
all, in the place of what was looked at: an attempt that has been overtaken changes nothing (R3.5).
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from client_delivery.transfer.contract import Job, Journal, Receipt
from client_delivery.transfer.objects.api import Occupied
from client_delivery.transfer.objects.destination import ObjectDestination
from client_delivery.transfer.reading.parts import PartLimits
from client_delivery.transfer.reading.source import Source
from client_delivery.transfer.s3.api import CopyDenied, S3Api
from client_delivery.transfer.s3.copying import copy
from client_delivery.transfer.s3_wire.access import S3Access

if TYPE_CHECKING:
    from client_delivery.config.model import S3Section

_SMALL = 8 * 1024**2
_REFUSED_COPIES = 3
"""So many different files that S3 did not copy, and none that it did, and the rest is streamed without asking."""


class S3Destination(ObjectDestination):
    """One client's bucket and prefix in S3.

    :param copies: whether S3 is asked to copy by itself; not what is not in S3.
    """

    _api: S3Api

    def __init__(
        self,
        config: S3Section,
        source_s3: S3Access,
        destination_s3: S3Access,
        *,
        small: int = _SMALL,
        limits: PartLimits | None = None,
        copies: bool = True,
    ) -> None:
        super().__init__(
            S3Api(config, destination_s3),
            source_s3,
            prefix=config.prefix,
            bytes_per_second=config.max_bytes_per_second,
            keep_metadata=config.keep_metadata,
            small=small,
            limits=limits,
        )
        # A bandwidth limit can only be kept for bytes that pass through here.
        self._copies = _Copies(wanted=copies and config.max_bytes_per_second is None)

    def _deliver(self, key: str, job: Job, source: Source, journal: Journal) -> Receipt:
        resume = job.resume or {}
        if resume.get("copied"):
            self.discard(job.name, resume)  # copies are quick, and start over
            resume = {}
        if self._copies.wanted and not resume:
            try:
                receipt = self._copied(key, job, source, journal)
            except CopyDenied:
                self._copies.refused()
            else:
                self._copies.made()
                return receipt
        return super()._deliver(key, replace(job, resume=resume or None), source, journal)

    def _copied(self, key: str, job: Job, source: Source, journal: Journal) -> Receipt:
        before = self._there(key)
        own = source.own_checksum()
        try:
            stored = copy(self._api, key, job, journal, own=own, before=before, about=self._carried(source))
        except Occupied as error:
            source.require_unchanged()
            stored = self._ours(key, before, own, error)
        return self._verified(key, stored, source, own)


class _Copies:
    """Whether S3 is asked to copy: one object that it may not read says nothing about the others."""

    def __init__(self, *, wanted: bool) -> None:
        self.wanted = wanted
        self._refused = 0
        self._made = False
        self._lock = threading.Lock()

    def made(self) -> None:
        """It copied one."""
        with self._lock:
            self._made = True

    def refused(self) -> None:
        """It did not copy one."""
        with self._lock:
            self._refused += 1
            if self._refused >= _REFUSED_COPIES and not self._made:
                self.wanted = False
