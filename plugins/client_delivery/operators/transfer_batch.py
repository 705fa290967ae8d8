"""R6: sends one batch of files, from the worker or by a container (R6.1)."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from client_delivery.ledger.entry import Entry, RunRef, Status
from client_delivery.ledger.table import Assignment
from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.triggers.pause import PauseTrigger
from client_delivery.pickup.intake import Take
from client_delivery.runtime.backoff import Backoff
from client_delivery.runtime.events import LOGGER, as_json, one_line
from client_delivery.transfer.contract import Superseded
from client_delivery.transfer.plan import longest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.config.model import ClientConfig
    from client_delivery.operators.container_trouble import Trouble
    from client_delivery.operators.offload import ContainerOperator
    from client_delivery.run.batches import BatchRef
    from client_delivery.run.context import Run

_INDEX_PATIENCE = 60.0
_CAPACITY_PATIENCE = 3_600.0
"""Seconds for which a try waits for room in ECS before that is a failed attempt."""
_NO_ROOM = Backoff(first=30.0, longest=600.0, jitter=False)
_GRACE = timedelta(minutes=15)
_NAMED = 10


class TransferBatchOperator(DeliveryOperator):
    """Delivers what is still ``processing`` of one batch; Airflow's retries come back for the rest (R6.3).

    Cleared in the UI, alone or with the whole run, it first gives what failed fresh attempts (R5.4).

    :param batch: the batch, as registering described it.
    """

    def __init__(self, *, batch: BatchRef, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch
        self._stop = threading.Event()
        if self.config is not None:
            # Airflow's own limit raises in the middle of anything: it is for a try that does not heed the one before.
            self.execution_timeout = self._longest(self.config) + _GRACE

    def execute(self, context: Context) -> dict[str, int]:
        """Returns counts. Raises if a file failed, for good or to be tried again."""
        if not self.batch["files"]:
            return {"delivered": 0}
        run = self.run_of(context)
        known = self._entries(run, self._rearm(run))
        entries = [entry for entry in known if entry.status is Status.PROCESSING and entry.active]
        if self.batch["offloaded"]:
            return self._start(run, context, time.time(), 0) if entries else self._conclude(run, known, {})
        from client_delivery.run.attempt import Batch

        batch = Batch(
            run.ledger,
            run.owner,
            disposal=run.disposal,
            bypass=run.bypass,
            logger=LOGGER,
            stop=self._stop,
            longest=self._longest(run.config),
        )
        outcome = batch.deliver(entries, run.open_destination)
        if self._stop.is_set():
            raise AirflowException(
                f"The task was told to stop, or took longer than {self._longest(run.config)}, after "
                f"{outcome.delivered} of {len(entries)} files. The next try goes on."
            )
        # What the ledger says, not what this attempt believes: another one may have taken a file from it.
        now = run.ledger.find(entry.etag for entry in known).values()
        return self._conclude(run, now, outcome.unfinished)

    def _start(self, run: Run, context: Context, since: float, refusals: int) -> dict[str, int]:
        """Have the batch sent by a container: defers, or concludes with what kept ECS from taking it.

        :param since: when this try first asked ECS, in seconds since the epoch.
        :param refusals: how often ECS has had no room since.
        """
        try:
            self._container(run, refusals).start(context, {"since": since, "refusals": refusals})
        except Exception as error:
            from client_delivery.operators.container_trouble import not_started

            logging.getLogger(__name__).warning("ECS did not take the container", exc_info=error)
            return self._troubled(run, not_started(error), since, refusals)
        raise AssertionError("Airflow's ECS operator did not defer")

    def start_again(self, context: Context, event: dict[str, Any], since: float, refusals: int) -> dict[str, int]:
        """Called when ECS has been left alone for a while."""
        run = self.run_of(context)
        entries = self._entries(run)
        if any(entry.status is Status.PROCESSING and entry.active for entry in entries):
            return self._start(run, context, since, refusals)
        return self._conclude(run, entries, {})

    def execute_complete(
        self, context: Context, event: dict[str, Any], since: float | None = None, refusals: int = 0
    ) -> dict[str, int]:
        """Called when the container has ended: what came of the files is in the ledger."""
        run = self.run_of(context)
        trouble = self._container(run, refusals).ended(event)
        self.log_event("container_ended", task=event["task_arn"], trouble=trouble.text if trouble else None)
        if trouble is None:
            entries = self._entries(run)
            left = [entry for entry in entries if entry.status is Status.PROCESSING and entry.active]
            if not left or any(entry.last_error or entry.resume for entry in left):
                return self._conclude(run, entries, {})
            from client_delivery.operators.container_trouble import NOTHING_DONE

            trouble = NOTHING_DONE
        return self._troubled(run, trouble, time.time() if since is None else since, refusals)

    def _troubled(self, run: Run, trouble: Trouble, since: float, refusals: int) -> dict[str, int]:
        """R6.2, R8.3: the ledger, and so e-mail and report, says what the container could not. Waits, or concludes."""
        waited = time.time() - since
        if trouble.waits and waited < _CAPACITY_PATIENCE:
            self._note(run, trouble)
            pause = _NO_ROOM.pause(refusals + 1)
            self.log_event(
                "container_waits", level=logging.WARNING, trouble=trouble.text, again_in_seconds=round(pause)
            )
            self.defer(
                trigger=PauseTrigger(time.time() + pause),
                method_name="start_again",
                kwargs={"since": since, "refusals": refusals + 1},
                timeout=timedelta(seconds=pause + 600),
            )
        if trouble.waits:
            from client_delivery.operators.container_trouble import waited_in_vain

            trouble = waited_in_vain(trouble, waited / 60)
        self._note(run, trouble)
        entries = self._entries(run)
        return self._conclude(run, entries, dict.fromkeys((entry.file_name for entry in entries), trouble.text))

    def _note(self, run: Run, trouble: Trouble) -> None:
        for entry in self._entries(run):
            if entry.status is Status.PROCESSING and entry.active:
                with contextlib.suppress(Superseded):
                    if trouble.counts:
                        run.ledger.failed(run.ledger.begin(entry, run.owner), trouble.text, permanent=False)
                    else:
                        run.ledger.hindered(entry, trouble.text)

    def _container(self, run: Run, refusals: int) -> ContainerOperator:
        # Imported here: Airflow's ECS operator costs seconds, which every task of every client would pay.
        from client_delivery.operators.offload import ContainerOperator

        return ContainerOperator(task_id=self.task_id, run=run, batch=self.batch, refusals=refusals)

    def _conclude(self, run: Run, now: Iterable[Entry], reasons: Mapping[str, str]) -> dict[str, int]:
        """By what the ledger says of the batch ``now``: green, red to be tried again, or red for good."""
        entries = [entry for entry in now if entry.owned_by.is_same_run(run.owner)]
        unfinished = {
            entry.file_name: reasons.get(entry.file_name) or str(entry.last_error or "no attempt left an outcome")
            for entry in entries
            if entry.status is Status.PROCESSING and entry.active
        }
        if unfinished:
            raise AirflowException(
                f"{len(unfinished)} of {self.batch['files']} files are not delivered yet and will be tried again: "
                f"{_named(unfinished)}"
            )
        if failed := {entry.file_name: str(entry.last_error) for entry in entries if run.failed(entry)}:
            raise AirflowFailException(
                f"{len(failed)} of {self.batch['files']} files failed for good: {_named(failed)} "
                "Do what each reason says, then clear this task or the run: the failed files get fresh attempts."
            )
        return {"delivered": sum(entry.status is Status.SUCCESS for entry in entries)}

    def _longest(self, config: ClientConfig) -> timedelta:
        """How long one try may take: by the batch's size and a lower bound of speed."""
        return longest(self.batch["files"], self.batch["bytes"], config.destination.max_bytes_per_second)

    def on_kill(self) -> None:
        """Airflow wants the task to end: stop between two writes and keep what is needed to resume."""
        self._stop.set()

    def _entries(self, run: Run, rearmed: Iterable[str] = ()) -> list[Entry]:
        """The batch's entries as the table has them, with those that were ``rearmed`` just now.

        A run that an older release began has no manifest, and the index lags behind its table by a moment: so it is
        asked until all are there.
        """
        deadline = time.monotonic() + _INDEX_PATIENCE
        while True:
            entries = run.ledger.of_run(run.owner, self.batch["batch"])
            missing = self.batch["files"] - len(entries)
            # A run that was cleared later may have its files in other batches: then fewer are right.
            if missing <= 0 or not RunRef.parse(self.batch["owner"]).is_same_life(run.owner):
                known = {entry.etag: entry for entry in entries}
                return list((known | run.ledger.find(etag for etag in rearmed if etag not in known)).values())
            if time.monotonic() > deadline:
                raise AirflowException(
                    f"The ledger shows {len(entries)} of the batch's {self.batch['files']} files after "
                    f"{_INDEX_PATIENCE:.0f} s. Nothing was sent; the next try looks again."
                )
            time.sleep(0.5)

    def _rearm(self, run: Run) -> list[str]:
        """After a clear: take on what an earlier life of this run failed to send or left; returns the sort keys.

        A file that has been renamed or dropped again since is sent as it is now (R5.9).
        """
        if run.owner.generation == 0:
            return []
        run.begin()
        number = self.batch["batch"]
        earlier = [e for e in run.ledger.of_run(run.owner, number) if e.owned_by.is_earlier_life_of(run.owner)]
        failed = [entry for entry in earlier if entry.status is Status.FAIL]
        now = self._waiting_again(run, {entry.etag for entry in failed}) if failed else {}
        assignments = [
            Assignment(take.file, entry.etag, number, take.duplicates)
            for entry in failed
            for take in [now.get(entry.etag) or Take(entry.etag, entry.source)]
        ]
        rearmed = run.ledger.rearm(assignments, run.owner, run.config.name, [Status.FAIL])
        for etag in rearmed:
            self.log_event("file_rearmed", etag=etag)
        unfinished = [
            Assignment(entry.source, entry.etag, number, entry.duplicate_names)
            for entry in earlier
            if entry.status is Status.PROCESSING
        ]
        return rearmed + run.ledger.resume(unfinished, run.owner, run.config.name)

    @staticmethod
    def _waiting_again(run: Run, failed: set[str]) -> dict[str, Take]:
        """Those of the failed entries whose files wait in the pick-up, as they are now."""
        now: dict[str, Take] = {}
        with contextlib.closing(run.survey(needs_done_file=False)) as survey:
            for part in survey.parts():
                now.update((take.etag, take) for take in part.rearm if take.etag in failed)
                run.ledger.aliases.note(part.aliases)
        return now


def _named(reasons: dict[str, str]) -> str:
    """The first few files, each with its reason."""
    shown = [f"{as_json(name)}: {one_line(reason)}" for name, reason in list(reasons.items())[:_NAMED]]
    more = len(reasons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more." if more > 0 else "")
