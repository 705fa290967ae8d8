"""Large objects in parts, several at a time, for every destination whose protocol knows multipart uploads.

The parts' checksums are put together to the object's, so a resumed transfer knows the checksum of bytes that it does
not read again. What is needed for that is in the checkpoint, bound to the source's ETag (R6.7).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from delivery.transfer.contract import Job, Journal
from delivery.transfer.integrity import Crc32c
from delivery.transfer.source import Source
from delivery.transfer.throttle import Throttle

_MIB = 1024**2
_CHECKPOINT_INTERVAL = 5.0
_CHECKPOINTS_PER_FILE = 50


@dataclass(frozen=True, slots=True)
class PartLimits:
    """What a service allows."""

    part_size: int = 32 * _MIB
    """Bytes; grows with the file so that ``most_parts`` are enough."""
    most_parts: int = 10_000
    streams: int = 4

    def size_for(self, total: int) -> int:
        """The part size for a file of ``total`` bytes: a multiple of 1 MiB."""
        least = -(-total // self.most_parts)
        return max(self.part_size, -(-least // _MIB) * _MIB)


@dataclass(slots=True)
class Parts:
    """An upload in parts: what has arrived so far."""

    upload_id: str
    part_size: int
    etag: str
    """The source's."""
    done: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Part number, and the ETag that the service gave and the part's CRC32C."""

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {
            "upload_id": self.upload_id,
            "part_size": self.part_size,
            "etag": self.etag,
            "done": {str(number): [etag, crc] for number, (etag, crc) in self.done.items()},
        }

    @classmethod
    def resumed(cls, state: Mapping[str, Any] | None, etag: str) -> Parts | None:
        """What an earlier attempt left, if it was at the same content."""
        if not state or state.get("etag") != etag or "upload_id" not in state:
            return None
        done = {int(number): (part[0], int(part[1])) for number, part in state["done"].items()}
        return cls(state["upload_id"], int(state["part_size"]), etag, done)


class PartUpload(Protocol):
    """One multipart upload at the destination."""

    def put(self, upload_id: str, number: int, size: int, pieces: Iterator[bytes], checksum: Crc32c) -> str:
        """Send one part; ``checksum`` counts the pieces as they go by. Verify it, and return the part's ETag."""


def upload_parts(  # noqa: PLR0917
    job: Job, source: Source, upload: PartUpload, parts: Parts, journal: Journal, throttle: Throttle, streams: int
) -> Crc32c:
    """Send every part that has not arrived yet, ``streams`` at a time. Returns the checksum of the whole."""
    size = job.source.size
    spans = {
        number: (start, min(start + parts.part_size, size))
        for number, start in enumerate(range(0, size, parts.part_size), 1)
    }
    keeper = _Keeper(parts, journal, size)
    journal.progress(sum(end - start for number, (start, end) in spans.items() if number in parts.done))
    failed = threading.Event()

    def send(number: int) -> None:
        if failed.is_set():
            return
        start, end = spans[number]
        checksum = Crc32c()
        pieces = _counted(checksum.over(source.read(start, end)), journal, throttle)
        try:
            etag = upload.put(parts.upload_id, number, end - start, pieces, checksum)
            keeper.arrived(number, etag, checksum)
        except BaseException:
            failed.set()
            raise

    left = [number for number in spans if number not in parts.done]
    try:
        with ThreadPoolExecutor(max(1, min(streams, len(left)))) as pool:
            futures = [pool.submit(send, number) for number in left]
        for future in futures:
            future.result()
    finally:
        keeper.keep_rest()
    whole = Crc32c()
    for number, (start, end) in spans.items():
        whole.append(parts.done[number][1], end - start)
    return whole


def _counted(pieces: Iterator[bytes], journal: Journal, throttle: Throttle) -> Iterator[bytes]:
    for piece in pieces:
        throttle.take(len(piece))
        yield piece
        journal.progress(len(piece))


class _Keeper:
    """Keeps the checkpoint up to date: every fiftieth of the file, or every few seconds."""

    def __init__(self, parts: Parts, journal: Journal, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._journal = journal
        self._step = size // _CHECKPOINTS_PER_FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._kept_at = clock()
        self._unkept = 0

    def arrived(self, number: int, etag: str, checksum: Crc32c) -> None:
        """One more part is at the destination."""
        with self._lock:
            self._parts.done[number] = (etag, checksum.value)
            self._unkept += checksum.size
            if self._unkept >= self._step or self._clock() - self._kept_at >= _CHECKPOINT_INTERVAL:
                self._keep()

    def keep_rest(self) -> None:
        """At the end, however it came."""
        with self._lock:
            if self._unkept:
                self._keep()

    def _keep(self) -> None:
        self._journal.checkpoint(self._parts.state())
        self._kept_at, self._unkept = self._clock(), 0
