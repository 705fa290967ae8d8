"""A batch whose container could not do its work (R6.1, R6.2): wait for room, or conclude."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from client_delivery.run.transfer import left_of
from client_delivery.runtime.backoff import Backoff

if TYPE_CHECKING:
    from client_delivery.run.context import Run
    from client_delivery.run.transfer import BatchTransfer

_CAPACITY_PATIENCE = 3_600.0
"""Seconds for which a try waits for room in ECS before it counts as a failed attempt."""
_NO_ROOM = Backoff(first=30.0, longest=600.0, jitter=False)


@dataclass(frozen=True)
class Trouble:
    """A container that did not start, or ended without writing its files' outcomes into the ledger."""

    text: str
    counts: bool
    """Whether it is a failed attempt of the files. An interrupted one is not: it had begun, and is resumed."""
    waits: bool = False
    """Whether only time helps: the start is retried later, and the files have not failed."""


NOTHING_DONE = Trouble(
    "The container ended without touching its files. Either it was started before the run was cleared, "
    "and the next try sends them; or its image is from a different release than Airflow's plugins: deploy "
    "both from the same release.",
    counts=False,
)
"""The end of a container that owns no files; one of an older release takes a newer order for another run's."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long, and how often, a try has waited for room in ECS."""

    since: float
    """When the try first asked ECS, in seconds since the epoch."""
    refusals: int = 0
    """How often ECS has had no room since."""

    @classmethod
    def begin(cls) -> Waiting:
        """Before the first request to ECS."""
        return cls(time.time())


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause before the next request to ECS."""

    until: float
    """In seconds since the epoch."""
    seconds: float
    then: Waiting


def after_trouble(run: Run, batch: BatchTransfer, trouble: Trouble, waiting: Waiting) -> Pause | dict[str, int]:
    """Note the trouble with the files, so that e-mail and report show it (R6.2, R8.3); a pause, or the batch's counts.

    Raises as :meth:`BatchTransfer.conclude` does.
    """
    waited = time.time() - waiting.since
    run.note_on_board(lambda board: board.is_hindered(run.config.name, trouble.text))
    if trouble.waits and waited < _CAPACITY_PATIENCE:
        batch.note(trouble.text, counts=trouble.counts)
        pause = _NO_ROOM.pause(waiting.refusals + 1)
        run.log_event("container_waits", level=logging.WARNING, trouble=trouble.text, again_in_seconds=round(pause))
        return Pause(time.time() + pause, pause, Waiting(waiting.since, waiting.refusals + 1))
    if trouble.waits:
        trouble = Trouble(f"{trouble.text} This lasted for {waited / 60:.0f} minutes.", counts=True)
    batch.note(trouble.text, counts=trouble.counts)
    entries = batch.entries()
    return batch.conclude(entries, dict.fromkeys((entry.file_name for entry in entries), trouble.text))


def after_end(run: Run, batch: BatchTransfer, trouble: Trouble | None, waiting: Waiting) -> Pause | dict[str, int]:
    """The container has ended: the ledger has the files' outcomes, unless there was ``trouble``."""
    if trouble is None:
        entries = batch.entries()
        left = left_of(entries)
        if not left or any(entry.last_error or entry.resume for entry in left):
            return batch.conclude(entries)
        trouble = NOTHING_DONE
    return after_trouble(run, batch, trouble, waiting)
