"""A long transfer's log stays alive: bytes, percent, rate and time left, every few seconds."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from client_delivery.runtime.events import log_event

_INTERVAL = 10.0
_LONG = 6 * 3600.0
"""Seconds after which an attempt is said, once an hour, to take long: somebody is to look."""
_AGAIN = 3600.0


class Progress:
    """Counts the bytes of one file, from any number of threads, and logs a line every ``interval`` seconds."""

    def __init__(
        self,
        logger: logging.Logger,
        name: str,
        size: int,
        *,
        interval: float = _INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._name = name
        self._size = size
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._moved = self._there = 0
        self._began = self._logged = clock()
        self._warn_at = self._began + _LONG

    def expect(self, size: int) -> None:
        """So many bytes are to arrive: of a file that is treated on its way others than in the pick-up."""
        with self._lock:
            self._size = size

    def resumed(self, there: int) -> None:
        """``there`` bytes had arrived before; they count for the percentage, not for the rate."""
        with self._lock:
            self._moved += there
            self._there += there
        log_event(self._logger, "file_resumed", file=self._name, there=there, bytes=self._size)

    def __call__(self, moved: int) -> None:
        """``moved`` more bytes have arrived; less than 0 if counted bytes are sent again."""
        with self._lock:
            self._moved += moved
            self._there = min(self._there, self._moved)  # bytes that are sent again have not arrived before
            now = self._clock()
            if now - self._logged < self._interval:
                return
            self._logged = now
            total = self._moved
            long = now >= self._warn_at
            if long:
                self._warn_at = now + _AGAIN
        rate = (total - self._there) / max(now - self._began, 1e-9)
        log_event(
            self._logger,
            "file_progress",
            file=self._name,
            moved=total,
            bytes=self._size,
            percent=round(100 * total / self._size, 1) if self._size else 100.0,
            bytes_per_second=round(rate),
            seconds_left=round(max(self._size - total, 0) / rate) if rate else None,
        )
        if long:
            log_event(
                self._logger,
                "file_takes_long",
                level=logging.WARNING,
                file=self._name,
                hours=round((now - self._began) / 3600, 1),
            )
