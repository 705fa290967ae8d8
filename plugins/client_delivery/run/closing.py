"""The end of a run: every file gets an outcome and is set inactive, and failures are reported (R7.2, R8.2, R8.3)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from client_delivery.ledger.entry import Entry, Status
from client_delivery.run.again import what_is_nowhere
from client_delivery.run.companions import deliver_companions, undelivered
from client_delivery.run.notes import file_fields
from client_delivery.runtime.events import as_json, one_line

if TYPE_CHECKING:
    from client_delivery.run.context import Run

_NO_OUTCOME = (
    "No attempt left an outcome: the worker or container that had the file died, or the task was ended by "
    "hand, before the file could be delivered. Clear the run to send it again."
)
_NAMED = 20


def settle(run: Run) -> list[Entry]:
    """When the tries are over, end entries still ``processing`` in ``fail`` (R6.2, R7.2); returns the entries to close.

    Safe to run again: a second time there is nothing left to end.
    """
    entries = run.to_wind_up(run.ledger.open_now(run.owner))
    unfinished = [entry for entry in entries if entry.status is Status.PROCESSING and entry.active]
    run.ledger.give_up(unfinished, run.owner, _NO_OUTCOME)
    final = list(run.ledger.find(entry.identity for entry in entries).values())
    deliver_companions(run, final)
    return final


def deactivate(run: Run, settled: Sequence[Entry]) -> int:
    """Log the outcome of each file (R8.1), and set all of the client's entries inactive (R8.2).

    Sent files are closed, failed ones are held (R5.4). An entry that is still ``processing`` stays open, for the next
    run to resume (R4.6). Returns how many files make the run red.

    :param settled: what :func:`settle` returned.
    """
    _clean_up(run, [entry for entry in settled if entry.status is Status.FAIL and entry.resume])
    _tell(run, settled)
    terminal = [entry for entry in settled if entry.status is not Status.PROCESSING]
    unfinished = [entry for entry in settled if entry.status is Status.PROCESSING and entry.active]
    sent = [entry for entry in terminal if entry.status is Status.SUCCESS and not entry.reopened]
    if run.config.expected_every_days and sent:
        run.last_delivery.note()  # first: a retry does not see closed entries again
    counts = {
        "closed": len(run.ledger.close(terminal, run.owner)),
        "failed": sum(map(run.failed, terminal)),
        "unfinished": len(run.ledger.deactivate(unfinished)),
    }
    failed = [(entry.file_name, entry.last_error) for entry in terminal if entry.status is Status.FAIL]
    last = max(sent, key=lambda entry: entry.timestamp).file_name if sent else None
    ref = f"{run.owner.dag_id}/{run.owner.run_id}"
    arrived = [entry.file_name for entry in sent]
    run.note_on_board(lambda board: board.ended(run.config.name, run=ref, last_file=last, held=failed, arrived=arrived))
    run.log_event("entries_deactivated", **counts)
    return counts["failed"]


def failures(run: Run, closed: int) -> str | None:
    """The message about the files that make this run red (R8.3); None if there are none.

    :param closed: how many of them were set inactive just now.
    """
    entries = run.ledger.of_run(run.owner)
    failed = [entry for entry in entries if run.failed(entry) and not entry.active]
    # The ledger may hold more of this run: another batch's files, or files that an earlier try closed.
    count = max(len(failed), closed)
    nowhere = " ".join(filter(None, (what_is_nowhere(run), undelivered(run, entries)))) or None
    if not count:
        return nowhere
    run.log_event("run_failed", level=logging.ERROR, run=str(run.owner), failed=count)
    lines = [f"  {as_json(entry.file_name)}: {one_line(str(entry.last_error))}" for entry in failed[:_NAMED]]
    if count > len(lines):
        lines.append(f"  and {count - len(lines)} more; each is in the ledger and in the finish e-mail")
    files = "1 file was" if count == 1 else f"{count} files were"
    return (
        f"{files} not delivered for {run.config.delivery_key}:\n"
        + "\n".join(lines)
        + "\nFollow the advice in each reason, then clear this run. Only the files that failed are sent again."
        + (f"\n{nowhere}" if nowhere else "")
    )


def _tell(run: Run, settled: Sequence[Entry]) -> None:
    """The final state of each file that failed, and the job's counts (R8.1)."""
    for entry in settled:
        if run.failed(entry):
            run.log_event("file_final", level=logging.ERROR, **file_fields(entry), error=entry.last_error)
    ours = [entry for entry in settled if not entry.reopened]
    counts = {status.value: sum(entry.status is status for entry in ours) for status in Status}
    counts["replaced"] = sum(entry.status is Status.FAIL and not run.failed(entry) for entry in ours)
    counts[Status.FAIL.value] -= counts["replaced"]
    counts["not_sent"] = sum(len(entry.duplicate_names) for entry in settled)
    sent = [entry for entry in ours if entry.status is Status.SUCCESS]
    if ours:
        # From facts that do not change when the task is retried.
        began = min(entry.armed_at or entry.created_at or entry.timestamp for entry in ours)
        size = sum(entry.size for entry in sent)
        run.note_month(began=began, files=len(sent), size=size, failed=counts[Status.FAIL.value])
    run.log_event(
        "job_finished", run=str(run.owner), **counts, bytes=sum(entry.size for entry in ours), files=len(ours)
    )


def _clean_up(run: Run, entries: Sequence[Entry]) -> None:
    """No attempt will resume these: remove their leftovers at the destination, if possible now."""
    if not entries:
        return
    try:
        with run.open_destination() as destination:
            for entry in entries:
                destination.discard(entry.arrives_as, entry.resume or {})
    except Exception as error:
        # Leftovers do no harm: they are hidden or incomplete, and are logged here.
        names = [entry.file_name for entry in entries]
        run.log_event("leftovers_not_removed", level=logging.WARNING, files=names, error=type(error).__name__)
