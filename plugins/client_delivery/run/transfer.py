"""One try at a batch of a run: take on its own files, send them, and conclude from the ledger (R6)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from client_delivery.config.delivered import naming_rule
from client_delivery.ledger.arrival import ArrivalName
from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.table import Assignment
from client_delivery.pickup.intake import Take
from client_delivery.run.again import survey_of
from client_delivery.run.attempt import Batch
from client_delivery.run.errors import CannotGoOn
from client_delivery.run.naming import Named, arrival_name
from client_delivery.runtime.events import LOGGER, as_json, one_line
from client_delivery.transfer.contract import Superseded
from client_delivery.transfer.plan import longest

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.entry import Entry
    from client_delivery.run.batches import BatchRef
    from client_delivery.run.context import Run

_INDEX_PATIENCE = 60.0
_NAMED = 10


class NotFinished(CannotGoOn):
    """Files of the batch are left; the next try continues with them."""

    retry_helps = True


class FailedForGood(CannotGoOn):
    """Files of the batch failed, and no retry by Airflow helps."""


def longest_try(config: ClientConfig, batch: BatchRef) -> timedelta:
    """How long one try may take: by the batch's size and a lower bound of speed."""
    return longest(batch["files"], batch["bytes"], config.destination.max_bytes_per_second)


def left_of(entries: Iterable[Entry]) -> list[Entry]:
    """Those that are still to be sent."""
    return [entry for entry in entries if entry.status is Status.PROCESSING and entry.active]


class BatchTransfer:
    """A batch, as one try of its task sees it.

    :param batch: as registration described it.
    """

    def __init__(self, run: Run, batch: BatchRef) -> None:
        self._run = run
        self._batch = batch

    def take_on(self) -> list[Entry]:
        """The batch's entries; after a clear, failed ones have got fresh attempts (R5.4).

        Raises :class:`NotFinished` if the ledger does not show all files of the batch.
        """
        return self.entries(self._rearm())

    def send(self, known: Sequence[Entry], stop: threading.Event) -> dict[str, int]:
        """Try each file that is left once, from here. Returns counts.

        Raises :class:`NotFinished` or :class:`FailedForGood` if a file is not delivered.
        """
        run, left, allowed = self._run, left_of(known), longest_try(self._run.config, self._batch)
        batch = Batch.of_run(run, LOGGER, stop=stop, longest=allowed)
        outcome = batch.deliver(left, run.open_destination)
        if stop.is_set():
            raise NotFinished(
                f"The task was told to stop, or took longer than {allowed}, after {outcome.delivered} of {len(left)} "
                "files. The next try continues."
            )
        # The ledger decides, not this attempt's own view: another attempt may have taken a file from it.
        now = run.ledger.find(entry.identity for entry in known).values()
        return self.conclude(now, outcome.unfinished)

    def note(self, reason: str, *, counts: bool) -> None:
        """Note with each remaining file what prevented a container from sending it (R6.2, R8.3).

        :param counts: whether that is a failed attempt.
        """
        ledger = self._run.ledger
        for entry in left_of(self.entries()):
            with contextlib.suppress(Superseded):
                if counts:
                    ledger.failed(ledger.begin(entry, self._run.owner), reason, permanent=False)
                else:
                    ledger.hindered(entry, reason)

    def conclude(self, now: Iterable[Entry], reasons: Mapping[str, str] | None = None) -> dict[str, int]:
        """By what the ledger says of the batch ``now``: counts, or :class:`NotFinished`, or :class:`FailedForGood`.

        :param reasons: by file name, if this try knows better than the entry why it is not delivered.
        """
        run, reasons = self._run, reasons or {}
        entries = [entry for entry in now if entry.owned_by.is_same_run(run.owner)]
        unfinished = {
            entry.file_name: reasons.get(entry.file_name) or str(entry.last_error or "no attempt left an outcome")
            for entry in left_of(entries)
        }
        if unfinished:
            raise NotFinished(
                f"{len(unfinished)} of {self._batch['files']} files are not delivered yet and will be retried: "
                f"{_named(unfinished)}"
            )
        if failed := {entry.file_name: str(entry.last_error) for entry in entries if run.failed(entry)}:
            raise FailedForGood(
                f"{len(failed)} of {self._batch['files']} files failed for good: {_named(failed)} Follow the advice "
                "in each reason, then clear this task or the run. The failed files get fresh attempts."
            )
        return {"delivered": sum(entry.status is Status.SUCCESS for entry in entries)}

    def entries(self, rearmed: Iterable[str] = ()) -> list[Entry]:
        """The batch's entries, read consistently, with those that were ``rearmed`` just now.

        A run's own notes are read consistently, and fewer entries than it registered are right: another run has taken
        some over. A run that an older release began has no notes, and the index lags behind its table by a moment: so
        the index is asked until all are there.
        """
        run = self._run
        deadline = time.monotonic() + _INDEX_PATIENCE
        while True:
            entries = run.ledger.of_run(run.owner, self._batch["batch"])
            missing = self._batch["files"] - len(entries)
            # A run that was cleared later may have its files in other batches: then fewer are right.
            same_life = RunRef.parse(self._batch["owner"]).is_same_life(run.owner)
            if missing <= 0 or not same_life or run.ledger.manifest.etags(run.owner.run_id, self._batch["batch"]):
                known = {entry.identity: entry for entry in entries}
                return list((known | run.ledger.find(etag for etag in rearmed if etag not in known)).values())
            if time.monotonic() > deadline:
                raise NotFinished(
                    f"The ledger shows {len(entries)} of the batch's {self._batch['files']} files after "
                    f"{_INDEX_PATIENCE:.0f} s. Nothing was sent; the next try checks again."
                )
            time.sleep(0.5)

    def _rearm(self) -> list[str]:
        """After a clear: take on the files that an earlier life of this run failed or left; returns the sort keys.

        A file that has been renamed or dropped again since is sent as it is now (R5.9).
        """
        run = self._run
        if run.owner.generation == 0:
            return []
        run.begin()
        number = self._batch["batch"]
        earlier = [e for e in run.ledger.of_run(run.owner, number) if e.owned_by.is_earlier_life_of(run.owner)]
        # What a guard holds goes only when a person says that it is right (R5.10), which a clear does not; and what was
        # dismissed not at all.
        failed = [e for e in earlier if e.status is Status.FAIL and not e.guarded and e.dismissed is None]
        now, rule = _waiting_again(run, {entry.identity for entry in failed}) if failed else {}, naming_rule(run.config)
        assignments = [
            Assignment(
                take.file, entry.identity, number, take.duplicates, name=arrival_name(take, rule), set_id=entry.set_id
            )
            for entry in failed
            for take in [now.get(entry.identity) or _as_it_was(entry)]
        ]
        rearmed = run.ledger.rearm(assignments, run.owner, run.config.name, [Status.FAIL])
        for identity in rearmed:
            run.log_event("file_rearmed", identity=identity)
        unfinished = [
            Assignment(
                entry.source,
                entry.identity,
                number,
                entry.duplicate_names,
                name=ArrivalName.of(entry),
                set_id=entry.set_id,
            )
            for entry in earlier
            if entry.status is Status.PROCESSING
        ]
        return rearmed + run.ledger.resume(unfinished, run.owner, run.config.name)


def _waiting_again(run: Run, failed: set[str]) -> dict[str, Take]:
    """Those of the failed entries whose files wait in the pick-up, as they are now."""
    now: dict[str, Take] = {}
    with contextlib.ExitStack() as opened:
        survey = opened.enter_context(contextlib.closing(survey_of(run, needs_done_file=False)))
        named = Named(run, survey, only=failed) if naming_rule(run.config) else survey
        opened.callback(named.close)
        for part in named.parts():
            now.update((take.identity, take) for take in part.rearm if take.identity in failed)
            run.ledger.aliases.note(part.aliases)
    return now


def _as_it_was(entry: Entry) -> Take:
    """A file that no longer waits: the attempt will say so. Its name stays."""
    return Take(entry.identity, entry.source, before=entry, name=ArrivalName.of(entry))


def _named(reasons: dict[str, str]) -> str:
    """The first few files, each with its reason."""
    shown = [f"{as_json(name)}: {one_line(reason)}" for name, reason in list(reasons.items())[:_NAMED]]
    more = len(reasons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more." if more > 0 else "")
