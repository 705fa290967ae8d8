"""``max_bytes_per_second``: one budget for all streams to a destination."""

from __future__ import annotations

import threading
import time


class Throttle:
    """Spreads bytes over time. Without a limit it costs nothing."""

    def __init__(self, bytes_per_second: int | None) -> None:
        self._rate = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def take(self, count: int) -> None:
        """Wait until ``count`` more bytes may be sent."""
        if self._rate is None:
            return
        with self._lock:
            start = max(self._free_at, time.monotonic())
            self._free_at = start + count / self._rate
        time.sleep(max(0.0, start - time.monotonic()))
