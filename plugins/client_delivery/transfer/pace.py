"""A lower bound of speed: what responds again and again and gets nowhere is left (R6.6)."""

from __future__ import annotations

from typing import Final

_WINDOW: Final = 600.0
"""Seconds of waiting that are looked at together."""
_SLOWEST: Final = 1024
"""Bytes per second."""
TOO_SLOW: Final = "less than a KiB in a second, for ten minutes"
"""For messages: how slow that is."""


class Pace:
    """Whether the other side, which responds again and again, also gets anywhere.

    Only the time spent waiting for it counts: not a bandwidth limit, nor whatever is at the other end of the transfer.
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
