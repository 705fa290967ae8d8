"""R8.2: the run lets go of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from delivery.ledger.entry import Status
from delivery.operators.base import DeliveryOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class DeactivateOperator(DeliveryOperator):
    """Sets all of the client's entries inactive (R8.2): what is sent is closed, what failed is held (R5.4).

    An entry that still is ``processing`` stays open, for the next run to resume (R4.6).
    """

    def execute(self, context: Context) -> dict[str, int]:
        """Returns how many entries were closed, how many of them failed, and how many are left for the next run."""
        run = self.run_of(context)
        entries = run.ledger.open_now()
        terminal = [entry for entry in entries if entry.status is not Status.PROCESSING]
        unfinished = [entry for entry in entries if entry.status is Status.PROCESSING and entry.active]
        counts = {
            "closed": len(run.ledger.close(terminal, run.owner)),
            "failed": sum(entry.status is Status.FAIL for entry in terminal),
            "unfinished": len(run.ledger.deactivate(unfinished)),
        }
        if self.config.expected_every_days and any(entry.status is Status.SUCCESS for entry in terminal):
            run.last_delivery.note()
        self.log_event("entries_deactivated", **counts)
        return counts
