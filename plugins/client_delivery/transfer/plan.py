"""How a run's files are shared out: big ones one by one to ECS, the rest in even batches to the workers (R6.1)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

_FILES_PER_BATCH = 1000
_BYTES_PER_BATCH = 4 * 1024**3
_MOST_OFFLOADED = 1000
"""Airflow maps at most 1,024 task instances (``max_map_length``); beyond this the smallest big files stay here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """In which batch each file of a run goes: first the workers' batches, then the offloaded ones."""

    numbers: Sequence[int]
    """The batch's number of each file, in the files' order. Four bytes each: there may be a million."""
    worker: int
    """How many batches the workers have."""
    offloaded: int
    """How many go to containers; they have the numbers after those of the workers."""

    @property
    def batches(self) -> int:
        """How many there are."""
        return self.worker + self.offloaded


def split(sizes: Sequence[int], *, threshold: int | None, most_batches: int, together: bool = False) -> Plan:
    """Share files of these sizes, in bytes, out. A task instance costs about a second, so batches are few: one more
    only for every thousand files or four GiB, ``most_batches`` in all. Each next-largest file goes to the lightest
    batch.

    :param together: all in one batch, by a container if one of them is big: a bandwidth limit is kept within a
        process, and batches that ran at once would add up.
    """
    numbers = array("i", bytes(4 * len(sizes)))
    if together and sizes:
        offloaded = threshold is not None and max(sizes) >= threshold
        return Plan(numbers, 0, 1) if offloaded else Plan(numbers, 1, 0)
    by_size = sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True)
    most = 0 if threshold is None else _MOST_OFFLOADED
    big = [file for file in by_size[:most] if sizes[file] >= (threshold or 0)]
    rest = by_size[len(big) :]
    total = sum(sizes[file] for file in rest)
    wanted = max(_ceil(len(rest), _FILES_PER_BATCH), _ceil(total, _BYTES_PER_BATCH), 1)
    # Besides its bytes every file costs requests: about as much as this many bytes more.
    weights = [0] * min(wanted, most_batches, len(rest))
    for file in rest:
        lightest = weights.index(min(weights))
        numbers[file] = lightest
        weights[lightest] += sizes[file] + 256 * 1024
    for number, file in enumerate(big, start=len(weights)):
        numbers[file] = number
    return Plan(numbers, len(weights), len(big))


def _ceil(amount: int, unit: int) -> int:
    return -(-amount // unit)


SLOWEST = 1024 * 1024
"""Bytes per second. Slower than this for a whole batch is taken for standing still, unless the client's own limit is
lower: then half of that."""
_BEGINNING, _EACH_FILE = timedelta(hours=1), timedelta(seconds=10)


def longest(files: int, size: int, max_bytes_per_second: float | None = None) -> timedelta:
    """How long one try at ``files`` with ``size`` bytes in all may take, by a lower bound of speed.

    What is stopped then is resumed by the next try; so the bound may not be one that a slow partner falls below.
    """
    slowest = min(SLOWEST, max_bytes_per_second / 2) if max_bytes_per_second else SLOWEST
    return _BEGINNING + files * _EACH_FILE + timedelta(seconds=size / slowest)
