"""R8.2: the run lets go of its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from client_delivery.ledger.entry import Status
from client_delivery.operators.base import DeliveryOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.operators.run import Run


class WoundUp(TypedDict):
    """That a run let go of its files."""

    life: str
    """Which life of the run: clearing only its failed tasks gives it a new one in which this task does not run."""
    failed: int
    """How many files ended in ``fail``."""


class DeactivateOperator(DeliveryOperator):
    """Sets all of the client's entries inactive (R8.2): what is sent is closed, what failed is held (R5.4).

    An entry that still is ``processing`` stays open, for the next run to resume (R4.6).
    """

    winds_up = True

    def execute(self, context: Context) -> WoundUp:
        """Returns what :class:`~client_delivery.operators.report.ReportOperator` goes by."""
        return self.let_go(self.run_of(context))

    def let_go(self, run: Run) -> WoundUp:
        """Close what has an outcome, and leave the rest to the next run."""
        entries = run.to_wind_up(run.ledger.open_now(run.owner))
        terminal = [entry for entry in entries if entry.status is not Status.PROCESSING]
        unfinished = [entry for entry in entries if entry.status is Status.PROCESSING and entry.active]
        delivered = any(entry.status is Status.SUCCESS and not entry.reopened for entry in terminal)
        if run.config.expected_every_days and delivered:
            run.last_delivery.note()  # first: what is closed is not seen again by another try
        counts = {
            "closed": len(run.ledger.close(terminal, run.owner)),
            "failed": sum(entry.status is Status.FAIL for entry in terminal),
            "unfinished": len(run.ledger.deactivate(unfinished)),
        }
        self.log_event("entries_deactivated", **counts)
        return WoundUp(life=str(run.owner), failed=counts["failed"])
