"""How long to wait before the same thing is tried once more."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

sleep = time.sleep
"""Waits. Tests put another one here."""

_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double after each failure in a row, in seconds.

    :param first: the pause after the first failure.
    :param longest: no pause is longer.
    :param jitter: draw each pause at random between nothing and its length, so that many clients of one service that
        failed together do not return together ("full jitter",
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    first: float
    longest: float
    jitter: bool = True

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, of which there has been one at least."""
        most = min(self.first * 2 ** min(max(failures - 1, 0), _MOST_DOUBLINGS), self.longest)
        return random.uniform(0, most) if self.jitter else most  # noqa: S311 - not for secrecy

    def wait(self, failures: int) -> None:
        """Wait that long in this thread."""
        sleep(self.pause(failures))
