"""The end of the tries: every file of the run has an outcome."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from client_delivery.ledger.entry import Entry, Status
from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.destination import destination_of
from client_delivery.run.attempt import file_fields

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.operators.run import Run

_NO_OUTCOME = (
    "No attempt left an outcome: the worker or container that had the file died, or the task was ended by hand, "
    "before it could be delivered. Clear the run to send it again."
)


class SettleOperator(DeliveryOperator):
    """When the transfers' tries are over, what is still ``processing`` ends in ``fail`` (R6.2, R7.2).

    Logs the final state of each file that failed, and the job's counts (R8.1).
    """

    winds_up = True

    def execute(self, context: Context) -> dict[str, int]:
        """Returns the counts by final status."""
        return self.settle(self.run_of(context))

    def settle(self, run: Run) -> dict[str, int]:
        """Returns the counts by final status."""
        entries = run.to_wind_up(run.ledger.open_now(run.owner))
        unfinished = [entry for entry in entries if entry.status is Status.PROCESSING and entry.active]
        run.ledger.give_up(unfinished, run.owner, _NO_OUTCOME)
        final = list(run.ledger.find(entry.etag for entry in entries).values())
        self._clean_up(run, [entry for entry in final if entry.status is Status.FAIL and entry.resume])
        for entry in final:
            if entry.status is Status.FAIL:
                fields = {name: value for name, value in file_fields(entry).items() if name != "client_h_number"}
                self.log_event("file_final", level=logging.ERROR, **fields, error=entry.last_error)
        ours = [entry for entry in final if not entry.reopened]
        counts = {status.value: sum(entry.status is status for entry in ours) for status in Status}
        counts["not_sent"] = sum(len(entry.duplicate_names) for entry in final)
        self.log_event(
            "job_finished", run=str(run.owner), **counts, bytes=sum(entry.size for entry in ours), files=len(ours)
        )
        return counts

    def _clean_up(self, run: Run, entries: Sequence[Entry]) -> None:
        """No attempt will resume these: what they left at the destination is removed, if that can be done now."""
        if not entries:
            return
        try:
            with destination_of(run) as destination:
                for entry in entries:
                    destination.discard(entry.file_name, entry.resume or {})
        except Exception as error:
            # Leftovers do no harm: they are hidden or incomplete, and are said here.
            names = [entry.file_name for entry in entries]
            self.log_event("leftovers_not_removed", level=logging.WARNING, files=names, error=type(error).__name__)
