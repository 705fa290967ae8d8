"""Checksums that people ask for, SHA-256 and MD5, of the bytes that are delivered.

The engine's own are put together from those of parts; these cannot be, and a large file is sent in parts at once. So
the file is read again, from its first byte to its last, while it is sent: 0.6 CPU seconds a GiB for SHA-256, and no
time of its own unless the destination is faster than one stream from S3. It becomes visible only when the checksum is
known, so that nothing has to be found out about a file that may be gone by then. Where S3 itself has a SHA-256 of the
whole object, nothing is read.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from client_delivery.transfer.contract import Destination, Interrupted, Job, Journal, Receipt
from client_delivery.transfer.reading.source import Source

if TYPE_CHECKING:
    from client_delivery.transfer.s3_wire.access import S3Access

_LOOK_EVERY = 1.0
_AT_ONCE = 16 * 1024**2
"""Bytes up to which a file is read before it is sent: a thread for it would take longer."""


class Digesting:
    """A destination whose receipts have the checksums that are asked for. The bytes must be delivered as they are.

    :param algorithms: as :mod:`hashlib` knows them.
    """

    def __init__(self, destination: Destination, source_s3: S3Access, algorithms: Sequence[str]) -> None:
        self._destination = destination
        self._s3 = source_s3
        self._algorithms = algorithms
        self.parallel_jobs = 1

    def __enter__(self) -> Self:
        self._destination.__enter__()
        self.parallel_jobs = self._destination.parallel_jobs
        return self

    def __exit__(self, *exc: object) -> None:
        self._destination.__exit__(*exc)

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file. Raises as a destination does, and what reading the source raises."""
        reading = _Reading(Source(self._s3, job.source), self._algorithms, journal)
        if job.source.size <= _AT_ONCE:
            reading.read()
        else:
            reading.start()
        try:
            receipt = self._destination.deliver(job, reading)
            return replace(receipt, digests=reading.digests())
        finally:
            reading.stop()

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """As the destination does."""
        self._destination.discard(name, resume)


class _Reading:
    """Reads the source, and is the journal of the delivery meanwhile."""

    def __init__(self, source: Source, algorithms: Sequence[str], journal: Journal) -> None:
        self._source = source
        self._algorithms = algorithms
        self._journal = journal
        self._found: dict[str, str] | None = None
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="digests", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nobody needs it any more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def read(self) -> None:
        """Read here and now. Raises as :meth:`~client_delivery.transfer.reading.source.Source.read` does."""
        if self._algorithms == ("sha256",) and (known := self._source.own_sha256()):
            self._found = {"sha256": base64.b64decode(known).hex()}
            return
        sums = {name: hashlib.new(name, usedforsecurity=False) for name in self._algorithms}
        for piece in self._source.read(0, self._source.object.size):
            if self._stopped.is_set():
                return
            for one in sums.values():
                one.update(piece)
        self._found = {name: one.hexdigest() for name, one in sums.items()}

    def digests(self) -> dict[str, str]:
        """What was found, when it is: in hexadecimal. Raises what reading raised, or what the journal does."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(_LOOK_EVERY)
            self._journal.progress(0)
        if self._error is not None:
            raise self._error
        if self._found is None:
            raise Interrupted
        return self._found

    def _run(self) -> None:
        try:
            self.read()
        except BaseException as error:
            self._error = error

    # -- the delivery's journal --------------------------------------------------------------------------------------

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """As the journal does."""
        self._journal.checkpoint(state)

    def confirm(self) -> None:
        """The last moment before the file is visible: its checksum is known by then."""
        self.digests()
        self._journal.confirm()

    def resumed(self, there: int) -> None:
        """As the journal does."""
        self._journal.resumed(there)

    def progress(self, moved: int) -> None:
        """As the journal does."""
        self._journal.progress(moved)
