"""A large file over several connections at once: each writes its own stretch of the same file, from front to back.

How far each has come is the resume state, bound to the source's ETag (R6.7).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from client_delivery.transfer.contract import Interrupted, Journal
from client_delivery.transfer.crew import side_by_side
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.reading.parts import Keeper
from client_delivery.transfer.reading.source import Source
from client_delivery.transfer.sftp.packets import SftpError
from client_delivery.transfer.sftp.pool import ConnectionPool
from client_delivery.transfer.sftp.session import SftpSession
from client_delivery.transfer.throttle import Throttle

_MIB = 1024**2
_SHORTEST = 64 * _MIB


@dataclass(slots=True)
class Lane:
    """A stretch of the file, and the digest of what the server has acknowledged of it."""

    start: int
    end: int
    digest: Digest
    synced: Digest
    """Of what is on the server's disk, from the start on."""

    @classmethod
    def new(cls, source: Source, start: int, end: int) -> Lane:
        """Nothing has been written yet."""
        return cls(start, end, source.digest(), source.digest())

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
    def new(cls, path: str, source: Source, writers: int) -> PartFile:
        """Nothing has been written yet."""
        size = source.object.size
        length = max(_SHORTEST, -(-size // writers // _MIB) * _MIB) if writers > 1 else max(size, 1)
        starts = range(0, size, length) if size else (0,)
        return cls(path, source.object.etag, [Lane.new(source, start, min(start + length, size)) for start in starts])

    @property
    def acknowledged(self) -> int:
        """How many bytes have been acknowledged."""
        return sum(lane.digest.size for lane in self.lanes)

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
        lanes = [[lane.start, lane.end, lane.synced.state(), lane.digest.state()] for lane in self.lanes]
        return {"part": self.path, "etag": self.etag, "lanes": lanes}

    @classmethod
    def resumed(cls, state: Mapping[str, Any], etag: str) -> PartFile | None:
        """What an earlier attempt left, if it was at the same content."""
        if state.get("etag") != etag or "lanes" not in state:
            return None
        lanes = []
        for start, end, *known in state["lanes"]:
            digest = Digest.resumed(known[-1])
            # A state of an earlier release does not say what was synced.
            synced = Digest.resumed(known[0]) if len(known) > 1 else Digest(digest.own)
            lanes.append(Lane(int(start), int(end), digest, synced))
        return cls(state["part"], etag, lanes)


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that has just been created: some servers let nobody open it a second time."""

    sftp: SftpSession
    handle: bytes


class StartedAnew(Exception):
    """The server has thrown away what was in the file when it was opened to go on with it."""


class LaneWriter:
    """Writes what is missing of every lane, side by side.

    :param opened: where the first lane is written; without it, the file is opened again.
    :param mode: the file's permissions, if they are to be set.
    :param state: what is kept in the checkpoint; without it, how far the lanes have come.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        part: PartFile,
        source: Source,
        *,
        journal: Journal,
        throttle: Throttle,
        opened: Opened | None,
        mode: int | None,
        state: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._pool = pool
        self._part = part
        self._source = source
        self._journal = journal
        self._throttle = throttle
        self._opened = opened
        self._mode = mode
        self._keeper = Keeper(state or part.state, journal, source.object.size)
        self.told: int | None = None
        """The size that the server reported before a handle was closed, if it did."""

    def run(self) -> None:
        """Raises what the source, the server or the journal raised; what was acknowledged is in the checkpoint."""
        left = [number for number, lane in enumerate(self._part.lanes) if lane.reached < lane.end]
        if not left:
            # An empty file, or one whose connection broke before it was synced and closed.
            left = [len(self._part.lanes) - 1]
        try:
            side_by_side(self._write, left, len(left), at_first=2)
        finally:
            self._keeper.keep_rest()

    def _write(self, number: int) -> None:
        lane = self._part.lanes[number]
        if number == 0 and self._opened is not None:
            self._fill(lane, self._opened.sftp, self._opened.handle)
            return
        with self._pool.session() as sftp:
            handle = sftp.open_existing(self._part.path, write=True)
            if self._opened is None:
                self._require_kept(sftp, handle, lane)
            self._fill(lane, sftp, handle)

    def _require_kept(self, sftp: SftpSession, handle: bytes, lane: Lane) -> None:
        """Some servers begin a new file when one is opened again."""
        with contextlib.suppress(SftpError):
            size = sftp.stat(self._part.path, follow=False).size
            if size is not None and size < lane.reached:
                sftp.close(handle)
                raise StartedAnew(self._part.path)

    def _fill(self, lane: Lane, sftp: SftpSession, handle: bytes) -> None:
        # The digest runs ahead of what is acknowledged, so it is remembered for each offset that may be kept.
        ahead = Digest.resumed(lane.digest.state())
        marks: deque[tuple[int, dict[str, int]]] = deque()
        unsynced: deque[tuple[int, dict[str, int]]] = deque()

        def pieces() -> Iterator[memoryview]:
            for piece in self._source.read(lane.reached, lane.end):
                self._throttle.take(len(piece))
                ahead.update(piece)
                marks.append((ahead.size, dict(ahead.values)))
                yield piece

        try:
            for reached in sftp.write(handle, lane.reached, pieces(), self._unless_stopped):
                acknowledged = None
                while marks and lane.start + marks[0][0] <= reached.acknowledged:
                    acknowledged = marks.popleft()
                    if sftp.syncs:
                        unsynced.append(acknowledged)
                while unsynced and lane.start + unsynced[0][0] <= reached.synced:
                    with self._keeper.noting(0):
                        lane.synced.size, lane.synced.values = unsynced.popleft()
                if acknowledged is not None:
                    moved = acknowledged[0] - lane.digest.size
                    with self._keeper.noting(moved):
                        lane.digest.size, lane.digest.values = acknowledged
                    self._journal.progress(moved)
        except Interrupted:
            raise  # the connection ends soon, and so does the handle; nobody waits for the server any more
        except BaseException:
            sftp.close(handle)
            raise
        mode = self._mode if lane.start == 0 else None
        self.told = sftp.finish(handle, mode, self._source.object.size, self._unless_stopped).size

    def _unless_stopped(self) -> None:
        """While nothing moves, the journal is still asked whether to go on."""
        self._journal.progress(0)
