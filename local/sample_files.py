"""Real input for the demo: files of assorted sizes and awkward names, from one seed, so that every run has the same."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

_KIB, _MIB = 1024, 1024**2

AWKWARD_NAMES = (
    "members 2026.csv",
    "café naïve 東京.csv",
    "50%+growth?.csv",
    "part #1 of 2.csv",
    "q1&q2='final'.csv",
    "sub folder/deep/er.csv",
)


@dataclass(frozen=True, slots=True)
class SampleFile:
    """One file to drop: its content comes from its seed and is never all in a list."""

    name: str
    size: int
    seed: int

    def content(self) -> bytes:
        """The bytes, the same at every call."""
        return random.Random(self.seed).randbytes(self.size)

    def sha256(self) -> str:
        """Hex digest of the content."""
        return hashlib.sha256(self.content()).hexdigest()


def sample_files(
    client: str, *, small: int = 0, large: tuple[int, ...] = (), awkward: bool = False
) -> list[SampleFile]:
    """Files for one client: an empty one, one of a byte, ``small`` ones of a few KiB, and ``large`` ones of MiB."""
    return list(_files(client, small, large, awkward))


def _files(client: str, small: int, large: tuple[int, ...], awkward: bool) -> Iterator[SampleFile]:
    chance = random.Random(client)
    yield SampleFile("empty.csv", 0, 0)
    yield SampleFile("one-byte.csv", 1, chance.getrandbits(63))
    for name in AWKWARD_NAMES if awkward else ():
        yield SampleFile(name, chance.randint(_KIB, 64 * _KIB), chance.getrandbits(63))
    for number in range(small):
        yield SampleFile(f"claims/{number:05d}.csv", chance.randint(100, 8 * _KIB), chance.getrandbits(63))
    for number, mebibytes in enumerate(large, 1):
        size = mebibytes * _MIB + chance.randint(0, _KIB)
        yield SampleFile(f"extract-{number}.parquet", size, chance.getrandbits(63))
