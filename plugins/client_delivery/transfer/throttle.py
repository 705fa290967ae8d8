"""``max_bytes_per_second``: one budget for all streams to a destination."""

from __future__ import annotations

import threading
import time

_SHARE = 1024**2
"""Bytes per second that a stream gets at least, where the limit is shared by several."""


class Throttle:
    """Spreads bytes over time. Without a limit it costs nothing.

    A service cuts a request that stands still (S3 after about 20 s, ``RequestTimeout``), so a stream never waits for
    much longer than a second: there are only as many as get :data:`_SHARE` each, and each takes no more at a time
    than a second's worth of the limit (:attr:`piece`).
    """

    def __init__(self, bytes_per_second: int | None) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    @property
    def limits(self) -> bool:
        """Whether there is a limit at all."""
        return self._rate is not None

    def streams(self, most: int) -> int:
        """How many streams the limit feeds."""
        return most if self._rate is None else max(1, min(most, self._rate // _SHARE))

    @property
    def piece(self) -> int | None:
        """Bytes to take at a time at most; None for any number."""
        return None if self._rate is None or self._rate >= _SHARE else self._rate

    def take(self, count: int) -> None:
        """Wait until ``count`` more bytes may be sent."""
        if self._rate is None:
            return
        with self._lock:
            start = max(self._free_at, time.monotonic())
            self._free_at = start + count / self._rate
        time.sleep(max(0.0, start - time.monotonic()))
