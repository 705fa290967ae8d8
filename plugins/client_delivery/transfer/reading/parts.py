"""Large objects in parts, several at a time, for every destination whose protocol knows multipart uploads.

The parts' checksums are put together to the object's, so a resumed transfer knows the checksum of bytes that it does
not read again. What is needed for that is in the checkpoint, bound to the source's ETag (R6.7).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from client_delivery.transfer.contract import Journal
from client_delivery.transfer.crew import side_by_side
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.reading.source import Source, Span
from client_delivery.transfer.throttle import Throttle

_MIB = 1024**2
_LARGEST_PART = 5 * 1024 * _MIB
"""Google's and Amazon's limit; with 10,000 of them in one upload."""
_CHECKPOINT_INTERVAL = 5.0
_CHECKPOINTS_PER_FILE = 50


class Slots:
    """How many parts of all files may be under way to one destination: what bounds the memory (R6.6)."""

    def __init__(self, most: int = 32) -> None:
        self._slots = threading.Semaphore(most)

    def __enter__(self) -> None:
        self._slots.acquire()

    def __exit__(self, *exc: object) -> None:
        self._slots.release()


@dataclass(frozen=True, slots=True)
class PartLimits:
    """How a file is cut."""

    part_size: int = 16 * _MIB
    """Bytes; grows with the file."""
    usual_parts: int = 2_000
    """No more than these, unless the parts would become larger than the services allow."""
    streams: int = 24
    """At once, for one file."""
    slots: Slots = field(default_factory=Slots)
    """Shared by all files."""

    def size_for(self, total: int) -> int:
        """The part size for a file of ``total`` bytes: a multiple of 1 MiB."""
        wanted = -(-total // self.usual_parts)
        return min(max(self.part_size, -(-wanted // _MIB) * _MIB), _LARGEST_PART)


@dataclass(slots=True)
class Stretch:
    """Parts that have arrived, one after the other, and the checksum of them all."""

    first: int
    last: int
    digest: Digest


@dataclass(slots=True)
class Parts:
    """An upload in parts, and what of it has arrived so far."""

    upload_id: str
    part_size: int
    size: int
    """Of the whole, bytes."""
    etag: str
    """The source's."""
    runs: list[Stretch] = field(default_factory=list)
    """Without gaps inside, in order."""
    part_etags: dict[int, str] = field(default_factory=dict)
    """What the service calls each part that has arrived."""

    def bounds(self, number: int) -> tuple[int, int]:
        """Where a part starts, and before which byte it ends."""
        start = (number - 1) * self.part_size
        return start, min(start + self.part_size, self.size)

    def missing(self) -> list[int]:
        """The parts that have not arrived."""
        done = {number for run in self.runs for number in range(run.first, run.last + 1)}
        return [number for number in range(1, -(-self.size // self.part_size) + 1) if number not in done]

    def arrived(self, number: int, part_etag: str, digest: Digest) -> None:
        """One more part is at the destination."""
        self.part_etags[number] = part_etag
        self.runs.append(Stretch(number, number, digest))
        self.runs.sort(key=lambda run: run.first)
        merged = self.runs[:1]
        for run in self.runs[1:]:
            if merged[-1].last + 1 == run.first:
                merged[-1].digest.append(run.digest.values, run.digest.size)
                merged[-1].last = run.last
            else:
                merged.append(run)
        self.runs = merged

    def whole(self, digest: Digest) -> Digest:
        """The digest of what has arrived, appended to an empty one."""
        for run in self.runs:
            digest.append(run.digest.values, run.digest.size)
        return digest

    def keep_only(self, there: Mapping[int, str]) -> None:
        """The service was asked what it has, by part: only that counts, whatever the checkpoint says."""
        self.runs = [run for run in self.runs if all(number in there for number in range(run.first, run.last + 1))]
        self.part_etags = dict(there)

    def state(self) -> dict[str, Any]:
        """For the checkpoint: a few runs, however many parts."""
        return {
            "upload_id": self.upload_id,
            "part_size": self.part_size,
            "etag": self.etag,
            "runs": [[run.first, run.last, run.digest.state()] for run in self.runs],
        }

    @classmethod
    def resumed(cls, state: Mapping[str, Any] | None, etag: str, size: int) -> Parts | None:
        """What an earlier attempt left, if it was at the same content."""
        if not state or state.get("etag") != etag or "upload_id" not in state:
            return None
        runs = [Stretch(int(first), int(last), Digest.resumed(kept)) for first, last, kept in state["runs"]]
        return cls(state["upload_id"], int(state["part_size"]), size, etag, runs)


class PartUpload(Protocol):
    """One multipart upload at the destination."""

    def put(self, upload_id: str, number: int, span: Span) -> str:
        """Send one part, verify it against the span's digest, and return the part's ETag."""


def upload_parts(
    source: Source, upload: PartUpload, parts: Parts, *, journal: Journal, throttle: Throttle, limits: PartLimits
) -> Digest:
    """Send every part that has not arrived yet, a few at a time. Returns the digest of the whole."""
    keeper = Keeper(parts.state, journal, parts.size)
    if there := sum(run.digest.size for run in parts.runs):
        journal.resumed(there)

    def send(number: int) -> None:
        span = Span(source, *parts.bounds(number), journal, throttle)
        with limits.slots:
            etag = upload.put(parts.upload_id, number, span)
        with keeper.noting(len(span)):
            parts.arrived(number, etag, span.digest)

    try:
        side_by_side(send, parts.missing(), limits.streams)
    finally:
        keeper.keep_rest()
    return parts.whole(source.digest())


class Keeper:
    """Keeps the checkpoint up to date: every fiftieth of the file, or every few seconds."""

    def __init__(
        self,
        state: Callable[[], Mapping[str, Any]],
        journal: Journal,
        size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._journal = journal
        self._step = size // _CHECKPOINTS_PER_FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._kept_at = clock()
        self._unkept = 0

    @contextmanager
    def noting(self, size: int) -> Iterator[None]:
        """Around a change of the state: ``size`` more bytes have arrived."""
        with self._lock:
            yield
            self._unkept += size
            if self._unkept >= self._step or self._clock() - self._kept_at >= _CHECKPOINT_INTERVAL:
                self._keep()

    def keep_rest(self) -> None:
        """At the end, however it came."""
        with self._lock:
            if self._unkept:
                self._keep()

    def _keep(self) -> None:
        self._journal.checkpoint(self._state())
        self._kept_at, self._unkept = self._clock(), 0
