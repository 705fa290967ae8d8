"""Several threads for one kind of work: a few at first, more only while the CPU has room for them.

Against a distant service many streams at once are what makes it fast. Where the CPU is the limit already, more threads
only fight for the interpreter: measured here, sixteen of them cost a third more CPU for the same bytes than four. The
limit may be the machine's, with little of it used here: then the crew still grows, but slowly, because what keeps the
machine busy may have nothing to do with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_LOOK_EVERY = 0.05
_BUSY = 0.7
"""Share of one CPU from which on more threads would not help."""
_ON_A_BUSY_MACHINE = 1.0
"""Seconds from one enlargement to the next where hardly any CPU of the machine is idle."""
_IDLE = 0.1
"""Share of the machine's CPUs that is room for more."""
_STAT = Path("/proc/stat")


def side_by_side(
    work: Callable[[T], object], items: Iterable[T], most: int, *, at_first: int = 4, stop_at_failure: bool = True
) -> None:
    """Do the work for every item, in their order, ``at_first`` at a time and later up to ``most``.

    Raises the first exception when all that had begun is over; with ``stop_at_failure`` nothing begins after it.
    """
    waiting = list(reversed(list(items)))
    failures: list[BaseException] = []
    lock = threading.Lock()

    def hand() -> None:
        while True:
            with lock:
                if not waiting or (failures and stop_at_failure):
                    return
                item = waiting.pop()
            try:
                work(item)
            except BaseException as error:
                with lock:
                    failures.append(error)

    crew: list[threading.Thread] = []

    def enlarge(size: int) -> None:
        while len(crew) < min(size, most) and waiting:
            crew.append(threading.Thread(target=hand, name=f"transfer-{len(crew)}"))
            crew[-1].start()

    enlarge(at_first)
    used, began, machine = time.process_time(), time.monotonic(), _Machine()
    enlarged = began
    while busy := [thread for thread in crew if thread.is_alive()]:
        busy[-1].join(_LOOK_EVERY)
        now, spent = time.monotonic(), time.process_time()
        if now - began >= _LOOK_EVERY:
            idle = (spent - used) / (now - began) < _BUSY
            if machine.has_room() or now - enlarged >= _ON_A_BUSY_MACHINE:
                enlarged = now
                if idle:
                    enlarge(2 * len(crew))
            used, began = spent, now
    if failures:
        raise failures[0]


class _Machine:
    """Whether CPUs of the machine are idle (proc_stat(5)). Work of low priority gives way, and counts as room."""

    def __init__(self) -> None:
        self._idle, self._all = self._ticks()

    def has_room(self) -> bool:
        """Since this was last asked; True where nobody can tell."""
        idle, total = self._ticks()
        had, passed = idle - self._idle, total - self._all
        self._idle, self._all = idle, total
        return not passed or had >= passed * _IDLE

    @staticmethod
    def _ticks() -> tuple[int, int]:
        try:
            with _STAT.open() as file:
                user, low, system, idle, waiting, *rest = map(int, file.readline().split()[1:9])
        except (OSError, ValueError):
            return 0, 0
        return low + idle + waiting, user + low + system + idle + waiting + sum(rest)
