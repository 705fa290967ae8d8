"""A large file over several connections at once: each writes its own stretch of the same file, from front to back.

How far each has come is the resume state, bound to the source's ETag (R6.7).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from delivery.transfer.contract import Journal
from delivery.transfer.crew import side_by_side
from delivery.transfer.integrity import Digest
from delivery.transfer.parts import Keeper
from delivery.transfer.sftp.pool import ConnectionPool
from delivery.transfer.source import Source
from delivery.transfer.throttle import Throttle

_MIB = 1024**2
_SHORTEST = 64 * _MIB


@dataclass(slots=True)
class Lane:
    """A stretch of the file, and the digest of what the server has acknowledged of it."""

    start: int
    end: int
    digest: Digest

    @property
    def reached(self) -> int:
        """Up to before which byte it is there."""
        return self.start + self.digest.size


@dataclass(slots=True)
class PartFile:
    """A temporary file on the server, and how far each of its lanes has come."""

    path: str
    etag: str
    """The source's."""
    lanes: list[Lane]

    @classmethod
    def new(cls, path: str, source: Source, connections: int) -> PartFile:
        """Nothing has been written yet."""
        size = source.object.size
        length = max(_SHORTEST, -(-size // connections // _MIB) * _MIB)
        starts = range(0, size, length)
        return cls(
            path, source.object.etag, [Lane(start, min(start + length, size), source.digest()) for start in starts]
        )

    @property
    def written(self) -> int:
        """Before which byte something was acknowledged: the file has at least this size."""
        return max((lane.reached for lane in self.lanes if lane.digest.size), default=0)

    def whole(self, source: Source) -> Digest:
        """The digest of all lanes."""
        digest = source.digest()
        for lane in self.lanes:
            digest.append(lane.digest.values, lane.digest.size)
        return digest

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        lanes = [[lane.start, lane.end, lane.digest.state()] for lane in self.lanes]
        return {"part": self.path, "etag": self.etag, "lanes": lanes}

    @classmethod
    def resumed(cls, state: Mapping[str, Any], etag: str) -> PartFile | None:
        """What an earlier attempt left, if it was at the same content."""
        if state.get("etag") != etag or "lanes" not in state:
            return None
        lanes = [Lane(int(start), int(end), Digest.resumed(kept)) for start, end, kept in state["lanes"]]
        return cls(state["part"], etag, lanes)


class LaneWriter:
    """Writes what is missing of every lane, side by side."""

    def __init__(
        self, pool: ConnectionPool, part: PartFile, source: Source, *, journal: Journal, throttle: Throttle
    ) -> None:
        self._pool = pool
        self._part = part
        self._source = source
        self._journal = journal
        self._throttle = throttle
        self._keeper = Keeper(part.state, journal, source.object.size)

    def run(self) -> None:
        """Raises what the source, the server or the journal raised; what was acknowledged is in the checkpoint."""
        if there := sum(lane.digest.size for lane in self._part.lanes):
            self._journal.resumed(there)
        left = [number for number, lane in enumerate(self._part.lanes) if lane.reached < lane.end]
        try:
            side_by_side(lambda number: self._write(self._part.lanes[number]), left, len(left), at_first=2)
        finally:
            self._keeper.keep_rest()

    def _write(self, lane: Lane) -> None:
        # The digest runs ahead of what is acknowledged, so it is remembered for each offset that may be kept.
        ahead = Digest.resumed(lane.digest.state())
        marks: deque[tuple[int, dict[str, int]]] = deque()

        def pieces() -> Iterator[memoryview]:
            for piece in self._source.read(lane.reached, lane.end):
                self._throttle.take(len(piece))
                ahead.update(piece)
                marks.append((ahead.size, dict(ahead.values)))
                yield piece

        with self._pool.session() as sftp:
            handle = sftp.open_existing(self._part.path, write=True)
            for reached in sftp.write(handle, lane.reached, pieces()):
                acknowledged = None
                while marks and lane.start + marks[0][0] <= reached:
                    acknowledged = marks.popleft()
                if acknowledged is not None:
                    moved = acknowledged[0] - lane.digest.size
                    with self._keeper.noting(moved):
                        lane.digest.size, lane.digest.values = acknowledged
                    self._journal.progress(moved)
            sftp.finish(handle)
