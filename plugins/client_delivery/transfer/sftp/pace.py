"""How long a server may take: patience that grows with the size, and a lower bound of speed (R6.6)."""

from __future__ import annotations

from typing import Final

_FIRST = 300.0
"""Seconds: virus scanners, and people who approve."""
_PER_BYTE = 60.0 / 1024**3
"""S3-backed servers copy for a rename, at some 15 s for each GiB; four times that."""
_WINDOW = 600.0
"""Seconds of waiting that are looked at together."""
_SLOWEST: Final = 1024
"""Bytes per second."""


def patience(size: int) -> float:
    """Seconds that closing, syncing or renaming a file of ``size`` bytes may take while the server's host lives."""
    return _FIRST + size * _PER_BYTE


class Pace:
    """Whether a server that responds again and again also gets anywhere.

    Only the time spent waiting for it counts: not a bandwidth limit, not S3.
    """

    def __init__(self) -> None:
        self._waited = 0.0
        self._moved = 0

    def too_slow(self, seconds: float, moved: int) -> bool:
        """Count ``moved`` bytes more, waited for ``seconds``; True if it cannot go on like this."""
        self._waited += seconds
        self._moved += moved
        if self._waited < _WINDOW:
            return False
        slow = self._moved < self._waited * _SLOWEST
        self._waited, self._moved = 0.0, 0
        return slow
