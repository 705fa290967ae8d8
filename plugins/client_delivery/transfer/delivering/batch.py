"""Many files, a few at a time."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeVar

from client_delivery.transfer.contract import (
    Destination,
    DestinationUnavailable,
    Interrupted,
    Job,
    Journal,
    Receipt,
    TransferError,
)
from client_delivery.transfer.crew import side_by_side

T = TypeVar("T")

_SPEAK_FOR_ALL = 20
"""So many different files that met the same refusal, and none that arrived, speak for the destination."""


def deliver_all(
    files: Sequence[T],
    start: Callable[[T], tuple[Job, Journal] | None],
    destination: Destination,
    on_outcome: Callable[[T, Receipt | Exception], None],
    stop: threading.Event | None = None,
    *,
    in_order: bool = False,
) -> None:
    """Deliver every file, ``destination.parallel_jobs`` at once. One file's failure never stops the others (R6.2).

    :param start: called right before a file is sent; None skips it.
    :param on_outcome: called once for each file that was started, right after.
    :param in_order: one after the other, as they are given.
    :param stop: once set, files in flight end :class:`Interrupted` at their next step and no further ones begin.

    When the destination as a whole turns out to be unavailable, what has not begun gets the same reason at once
    instead of timing out file by file. Raises what ``start`` or ``on_outcome`` raised, when all is over.
    """
    stop = stop or threading.Event()
    verdict = _Verdict()

    def one(file: T) -> None:
        if stop.is_set():
            return
        started = start(file)
        if started is None:
            return
        on_outcome(file, _deliver(*started))

    def _deliver(job: Job, journal: Journal) -> Receipt | Exception:
        if verdict.unavailable is not None:
            return verdict.unavailable
        try:
            receipt = destination.deliver(job, _Stoppable(journal, stop))
        except TransferError as error:
            verdict.failed(job.name, error)
            return error
        except Exception as error:
            return error
        verdict.delivered()
        return receipt

    most = 1 if in_order else destination.parallel_jobs
    side_by_side(one, files if in_order else _sample_first(files), most, stop_at_failure=False)


def _sample_first(files: Sequence[T]) -> Sequence[T]:
    """A sample of all sizes goes first: what it meets alike is not the fate of one kind of file only.

    It is drawn again for every attempt.
    """
    if len(files) <= 2 * _SPEAK_FOR_ALL:
        return files
    drawn = sorted(random.sample(range(len(files)), _SPEAK_FOR_ALL))
    chosen = set(drawn)
    return [*(files[n] for n in drawn), *(file for n, file in enumerate(files) if n not in chosen)]


class _Verdict:
    """Whether the destination as a whole is of no use, by what the first files met."""

    def __init__(self) -> None:
        self.unavailable: TransferError | None = None
        """The reason that every further file gets."""
        self._inferred = False
        self._anything_arrived = False
        self._alike: defaultdict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()

    def delivered(self) -> None:
        """One file has arrived: a refusal is one file's alone, whatever the others met until now."""
        with self._lock:
            self._anything_arrived = True
            if self._inferred:
                self.unavailable, self._inferred = None, False

    def failed(self, name: str, error: TransferError) -> None:
        """One file met this."""
        with self._lock:
            if error.whole_destination:
                self.unavailable, self._inferred = error, False
            if error.alike is None or self._anything_arrived:
                return
            met = self._alike[error.alike]
            met.add(name)
            if len(met) >= _SPEAK_FOR_ALL and self.unavailable is None:
                self._inferred = True
                self.unavailable = DestinationUnavailable(
                    f"The first {len(met)} files all failed for the same reason, so this one was not tried. The last "
                    f"error: {error}"
                )


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
