"""Many files, a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from delivery.transfer.contract import (
    Destination,
    DestinationUnavailable,
    Interrupted,
    Job,
    Journal,
    Receipt,
    Superseded,
    TransferError,
)
from delivery.transfer.crew import side_by_side

T = TypeVar("T")


def deliver_all(
    files: Sequence[T],
    start: Callable[[T], tuple[Job, Journal] | None],
    destination: Destination,
    on_outcome: Callable[[T, Receipt | Exception], None],
    stop: threading.Event | None = None,
) -> None:
    """Deliver every file, ``destination.parallel_jobs`` at once. One file's failure never stops the others (R6.2).

    :param start: called right before a file is sent; None skips it.
    :param on_outcome: called once for each file that was started, right after.
    :param stop: once set, files in flight end :class:`Interrupted` at their next step and no further ones begin.

    When the destination as a whole turns out to be unavailable, what has not begun gets the same reason at once
    instead of timing out file by file. Raises what ``start`` or ``on_outcome`` raised, when all is over.
    """
    stop = stop or threading.Event()
    unavailable: list[DestinationUnavailable] = []

    def one(file: T) -> None:
        if stop.is_set():
            return
        started = start(file)
        if started is None:
            return
        on_outcome(file, _deliver(*started))

    def _deliver(job: Job, journal: Journal) -> Receipt | Exception:
        if unavailable:
            return unavailable[0]
        try:
            return destination.deliver(job, _Stoppable(journal, stop))
        except DestinationUnavailable as error:
            unavailable.append(error)
            return error
        except (TransferError, Superseded, Interrupted) as error:
            return error
        except Exception as error:
            return error

    side_by_side(one, files, destination.parallel_jobs, stop_at_failure=False)


class _Stoppable:
    """A journal that ends its job when everything is to stop."""

    def __init__(self, journal: Journal, stop: threading.Event) -> None:
        self._journal = journal
        self._stop = stop
        self.checkpoint = journal.checkpoint
        self.resumed = journal.resumed

    def confirm(self) -> None:
        """Pass on, unless stopped."""
        self._check()
        self._journal.confirm()

    def progress(self, moved: int) -> None:
        """Pass on, unless stopped."""
        self._check()
        self._journal.progress(moved)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Interrupted("The transfer was told to stop.")
