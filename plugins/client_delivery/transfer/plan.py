"""How a run's files are shared out: big ones one by one to ECS, the rest in even batches to the workers (R6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

_FILES_PER_BATCH = 1000
_BYTES_PER_BATCH = 4 * 1024**3
_MOST_OFFLOADED = 1000
"""Airflow maps at most 1,024 task instances (``max_map_length``); beyond this the smallest big files stay here."""


class Sized(Protocol):
    """What a plan needs to know of a file."""

    @property
    def size(self) -> int:
        """Bytes."""


F = TypeVar("F", bound=Sized)


@dataclass(frozen=True, slots=True)
class Plan(Generic[F]):
    """The files of one run, in numbered batches: first the workers', then the offloaded ones."""

    worker: tuple[tuple[F, ...], ...]
    offloaded: tuple[tuple[F, ...], ...]

    @property
    def batches(self) -> tuple[tuple[F, ...], ...]:
        """All batches; a batch's number is its index."""
        return self.worker + self.offloaded


def split(files: Sequence[F], *, threshold: int | None, most_batches: int, together: bool = False) -> Plan[F]:
    """Share ``files`` out. A task instance costs about a second, so batches are few: one more only for every
    thousand files or four GiB, ``most_batches`` in all. Each next-largest file goes to the lightest batch.

    :param together: all in one batch, by a container if one of them is big: a bandwidth limit is kept within a
        process, and batches that ran at once would add up.
    """
    by_size = sorted(files, key=lambda file: file.size, reverse=True)
    if together and by_size:
        offloaded = threshold is not None and by_size[0].size >= threshold
        return Plan((), (tuple(by_size),)) if offloaded else Plan((tuple(by_size),), ())
    big = [] if threshold is None else [file for file in by_size if file.size >= threshold][:_MOST_OFFLOADED]
    rest = by_size[len(big) :]
    total = sum(file.size for file in rest)
    wanted = max(_ceil(len(rest), _FILES_PER_BATCH), _ceil(total, _BYTES_PER_BATCH), 1)
    batches: list[list[F]] = [[] for _ in range(min(wanted, most_batches, len(rest)))]
    # Besides its bytes every file costs requests: about as much as this many bytes more.
    weights = [0] * len(batches)
    for file in rest:
        lightest = weights.index(min(weights))
        batches[lightest].append(file)
        weights[lightest] += file.size + 256 * 1024
    return Plan(tuple(map(tuple, batches)), tuple((file,) for file in big))


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
