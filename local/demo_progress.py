"""What the demo says: never nothing for long, and never a limit on what still moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import NamedTuple, Self

_QUIET = 8.0
"""Seconds without a line, after which one says what is waited for."""
STALLED = 900.0
"""Seconds in which nothing at all moved, after which waiting is in vain: however slow the machine, something does."""


class Look(NamedTuple):
    """What was found when it was looked whether something is over."""

    done: bool
    text: str
    """What is still to come, in words."""
    moved: Hashable = None
    """Something that changes whenever anything has moved; without it, the text."""


class StalledError(Exception):
    """Nothing moved for :data:`STALLED` seconds."""


class Progress:
    """Lines with the seconds since the start; a thread fills every silence with what is being done."""

    def __init__(self, quiet: float = _QUIET) -> None:
        self._began = self._spoken = time.monotonic()
        self._quiet = quiet
        self._doing = ""
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._fill_silences, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def say(self, text: str) -> None:
        """One line, now."""
        with self._lock:
            self._spoken = time.monotonic()
            print(f"[{self._spoken - self._began:5.0f} s] {text}", flush=True)

    def show(self, text: str) -> None:
        """Lines as they are: a table."""
        with self._lock:
            self._spoken = time.monotonic()
            print(text, flush=True)

    def doing(self, text: str) -> None:
        """What a silence is filled with from now on."""
        self._doing = text

    def wait(self, look: Callable[[], Look], *, interval: float = 1, stalled: float = STALLED) -> None:
        """Look until it is done; each look renews what a silence is filled with.

        Raises StalledError when nothing has moved for ``stalled`` seconds.
        """
        last: Hashable = None
        moved = time.monotonic()
        while not (found := look()).done:
            self.doing(found.text)
            mark = found.text if found.moved is None else found.moved
            if mark != last:
                last, moved = mark, time.monotonic()
            elif time.monotonic() - moved > stalled:
                raise StalledError(f"Nothing has moved for {stalled:.0f} s: {found.text}")
            time.sleep(interval)

    def _fill_silences(self) -> None:
        while not self._over.wait(0.2):
            if self._doing and time.monotonic() - self._spoken > self._quiet:
                self.say(f"… {self._doing}")
