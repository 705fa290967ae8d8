"""One attempt at each file of a batch: it connects engine and ledger, on the worker and in the container alike."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.life import RunRef
from client_delivery.run.clean_up import CleanUp
from client_delivery.run.journal import LedgerJournal
from client_delivery.run.notes import file_fields
from client_delivery.runtime.events import as_json, client_fields, log_event
from client_delivery.runtime.heap import heap_at_rest
from client_delivery.transfer.contract import (
    Destination,
    Interrupted,
    Job,
    Receipt,
    SourceObject,
    SourceReplaced,
    Superseded,
    TransferError,
    UnsafeName,
)
from client_delivery.transfer.delivering.batch import deliver_all
from client_delivery.transfer.progress import Progress

if TYPE_CHECKING:
    from client_delivery.ledger.table import Ledger
    from client_delivery.pickup.disposal import Disposal
    from client_delivery.run.context import Run


@dataclass(slots=True)
class BatchOutcome:
    """The outcome of one attempt at a batch."""

    delivered: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """File name and reason, for files that ended in ``fail``."""
    unfinished: dict[str, str] = field(default_factory=dict)
    """File name and reason, for files that another attempt will retry."""


@dataclass(slots=True)
class _Attempt:
    entry: Entry
    journal: LedgerJournal
    began: float


class Batch:
    """Delivers the entries of one batch, each once.

    :param stop: once set, files in flight stop at their next step, and their progress is kept.
    :param order: the order in which files are sent, one after the other; None: many at the same time.
    :param longest: how long it may take before it stops by itself.
    :param suffixes: at the end of each name, for what is done to the content on its way.
    """

    def __init__(
        self,
        ledger: Ledger,
        owner: RunRef,
        *,
        disposal: Disposal,
        bypass: bool,
        logger: logging.Logger,
        longest: timedelta,
        stop: threading.Event | None = None,
        order: str | None = None,
        suffixes: str = "",
    ) -> None:
        self._ledger = ledger
        self._owner = owner
        self._disposal = disposal
        self._bypass = bypass
        self._logger = logger
        self._stop = stop or threading.Event()
        self._longest = longest
        self._order = order
        self._suffixes = suffixes
        self._clean_up = CleanUp(ledger, disposal, self._log)
        self._attempts: dict[str, _Attempt] = {}
        self._destination: Destination | None = None
        self._lock = threading.Lock()
        self.outcome = BatchOutcome()

    @classmethod
    def of_run(cls, run: Run, logger: logging.Logger, *, stop: threading.Event, longest: timedelta) -> Batch:
        """A batch of this run, according to its configuration; the same for a worker and a container."""
        return cls(
            run.ledger,
            run.owner,
            disposal=run.disposal,
            bypass=run.bypass,
            logger=logger,
            stop=stop,
            longest=longest,
            order=run.config.order,
            suffixes=run.config.suffixes,
        )

    def deliver(self, entries: Sequence[Entry], open_destination: Callable[[], Destination]) -> BatchOutcome:
        """Try each file once and record its outcome (R6.2). One file's failure never stops the others.

        A destination that cannot be opened is a failed attempt of every file: each entry and the finish e-mail then
        have the reason.
        """
        started = time.monotonic()
        log_event(self._logger, "batch_started", files=len(entries), bytes=sum(entry.size for entry in entries))
        with ExitStack() as opened:
            opened.enter_context(heap_at_rest())
            opened.enter_context(self._limited())
            try:
                self._destination = destination = opened.enter_context(open_destination())
            except Exception as error:
                for entry in entries:
                    if self._start(entry) is not None:
                        self._finish(entry, error)
            else:
                ordered = in_order(entries, self._order) if self._order else entries
                deliver_all(
                    ordered, self._start, destination, self._finish, self._stop, in_order=self._order is not None
                )
        log_event(
            self._logger,
            "batch_finished",
            delivered=self.outcome.delivered,
            failed=len(self.outcome.failed),
            unfinished=len(self.outcome.unfinished),
            seconds=round(time.monotonic() - started, 1),
        )
        return self.outcome

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """After ``longest``, stop as if told to; the progress is kept."""
        limit = threading.Timer(self._longest.total_seconds(), self._out_of_time)
        limit.daemon = True
        limit.start()
        try:
            yield
        finally:
            limit.cancel()

    def _out_of_time(self) -> None:
        self._stop.set()
        log_event(self._logger, "batch_out_of_time", level=logging.WARNING, longest=str(self._longest))

    def _start(self, entry: Entry) -> tuple[Job, LedgerJournal] | None:
        try:
            begun = self._ledger.begin(entry, self._owner)
            name = begun.arrives_with(self._suffixes)
            # A destination that cannot be opened keeps what an earlier attempt left there: the next attempt sees to it.
            if name != begun.arrives_as and self._destination is not None:
                begun = self._renamed(begun, name, self._destination)
        except Superseded as error:
            self._note_superseded(entry, error)
            return None
        journal = LedgerJournal(self._ledger, begun, Progress(self._logger, begun.file_name, begun.size))
        with self._lock:
            self._attempts[entry.identity] = _Attempt(begun, journal, time.monotonic())
        self._log("file_started", begun, attempt=begun.send_attempts + 1)
        source = SourceObject(begun.bucket, begun.key, begun.source_etag, begun.size)
        if kept := begun.origin:
            source = SourceObject(kept.bucket, kept.key, kept.etag, begun.size, version_id=kept.version_id)
        return Job(begun.arrives_as, source, begun.fencing_token, begun.resume), journal

    def _renamed(self, begun: Entry, name: str, destination: Destination) -> Entry:
        """The configuration has been edited since the file got its name: its suffixes now say how it is treated.

        The leftovers of an earlier attempt are removed: they have other content.
        """
        if begun.resume:
            # A destination that only delivers knows no prepared files.
            left = begun.resume if self._suffixes else begun.resume.get("engine") or begun.resume
            self._clean_up.discard(destination, begun, left)
        return self._ledger.renamed(begun, name, self._suffixes)

    def _finish(self, entry: Entry, result: Receipt | BaseException) -> None:
        attempt = self._attempts[entry.identity]
        try:
            if isinstance(result, Receipt):
                self._delivered(attempt, result)
            elif isinstance(result, Superseded):
                self._note_superseded(entry, result)
            elif isinstance(result, Interrupted):
                self._log("file_interrupted", attempt.entry, level=logging.WARNING)
                self._record(self.outcome.unfinished, entry, "interrupted; the next attempt resumes it")
            elif isinstance(result, SourceReplaced):
                self._replaced(attempt, result)
            else:
                self._failed(attempt, result)
        except Superseded as error:
            self._note_superseded(entry, error)

    def _delivered(self, attempt: _Attempt, receipt: Receipt) -> None:
        # A source outside the pick-up is not removed: the file can be sent again from it.
        elsewhere = attempt.entry.origin is not None
        entry = self._ledger.delivered(attempt.entry, receipt, remove_source=self._bypass and not elsewhere)
        with self._lock:
            self.outcome.delivered += 1
        self._log(
            "file_delivered",
            entry,
            delivered_to=receipt.uri,
            checksum=receipt.checksum,
            verified_by=receipt.verified_by,
            **({"delivered_bytes": receipt.size} if receipt.prepared else {}),
            seconds=round(time.monotonic() - attempt.began, 3),
        )
        if receipt.remark:
            self._log("file_delivered_remark", entry, level=logging.WARNING, remark=receipt.remark)
        if receipt.prepared is not None:
            self._clean_up.remove_prepared(self._destination, entry, receipt.prepared)
        if not elsewhere and (self._bypass or self._disposal.at_once):
            self._clean_up.dispose(entry)

    def _replaced(self, attempt: _Attempt, error: SourceReplaced) -> None:
        """Another run registers the new object; this run decides whether a person must act."""
        entry = self._ledger.replaced(attempt.entry, str(error))
        self._log("file_replaced", entry, level=logging.WARNING, error=str(error))
        self._clean_up.discard(self._destination, attempt.entry, attempt.journal.state)

    def _failed(self, attempt: _Attempt, error: BaseException) -> None:
        # Only the engine's own errors are safe to show. Any other exception may contain a credential, so the entry
        # records its type, and its text goes to the masked log.
        reason = str(error) if isinstance(error, TransferError) else f"unexpected {type(error).__name__}; see the log"
        permanent = isinstance(error, TransferError) and not error.retry_helps
        entry = self._ledger.failed(
            attempt.entry, reason, permanent=permanent, name_refused=isinstance(error, UnsafeName)
        )
        final = entry.status is Status.FAIL
        self._record(self.outcome.failed if final else self.outcome.unfinished, entry, reason)
        self._log(
            "file_failed" if final else "file_attempt_failed",
            entry,
            level=logging.ERROR if final else logging.WARNING,
            error=reason,
        )
        if final:
            self._clean_up.discard(self._destination, attempt.entry, attempt.journal.state)
        if not isinstance(error, TransferError):
            self._logger.error("Unexpected error while delivering %s", as_json(entry.file_name), exc_info=error)

    def _note_superseded(self, entry: Entry, error: Superseded) -> None:
        self._log("file_superseded", entry, level=logging.WARNING, error=str(error))

    def _record(self, where: dict[str, str], entry: Entry, reason: str) -> None:
        with self._lock:
            where[entry.file_name] = reason

    def _log(self, event: str, entry: Entry, *, level: int = logging.INFO, **fields: Any) -> None:
        log_event(self._logger, event, level=level, **client_fields(entry.delivery_key), **file_fields(entry), **fields)


def in_order(entries: Sequence[Entry], order: str) -> list[Entry]:
    """The entries by ``name``, ``age`` (the oldest first) or ``size``, and then by name."""
    keys: Mapping[str, Callable[[Entry], Any]] = {
        "name": lambda entry: entry.file_name,
        "age": lambda entry: (datetime.fromisoformat(entry.source_modified), entry.file_name),
        "size": lambda entry: (entry.size, entry.file_name),
    }
    return sorted(entries, key=keys[order])
