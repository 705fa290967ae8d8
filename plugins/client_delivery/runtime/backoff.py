"""How long to wait before a retry, and for how long to retry."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

sleep = time.sleep
"""Waits. Tests put another one here."""
clock = time.monotonic
"""Seconds since some point in time. Tests that replace :data:`sleep` replace this as well."""

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


class Retries:
    """Retries of one thing, for a limited time.

    :param backoff: the pauses between them.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._began = clock()
        self._failures = 0

    def wait(self, patience: float) -> bool:
        """Wait for the next retry; False, at once, if ``patience`` seconds have passed since the first try.

        The last pause is cut short, so that the last retry comes when the patience ends.
        """
        self._failures += 1
        left = self._began + patience - clock()
        if left <= 0:
            return False
        sleep(min(self._backoff.pause(self._failures), left))
        return True
