"""R8.3: the run's colour."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from delivery.operators.base import DeliveryOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from delivery.ledger.entry import Entry
    from delivery.operators.run import Run

_NAMED = 20
_INDEX_PATIENCE = 30.0


class ReportOperator(DeliveryOperator):
    """The run's last word: red, with names and reasons, if any file of this run ended in ``fail`` (R8.3)."""

    def execute(self, context: Context) -> None:
        """Raises if any file failed."""
        run = self.run_of(context)
        count = context["ti"].xcom_pull(task_ids="deactivate")["failed"]
        if not count:
            return
        self.log_event("run_failed", level=logging.ERROR, run=str(run.owner), failed=count)
        failed = self._failed(run, count)
        lines = [f"  {entry.file_name!r}: {entry.last_error}" for entry in failed[:_NAMED]]
        if count > len(lines):
            lines.append(f"  and {count - len(lines)} more; each is in the ledger and in the finish e-mail")
        files = "1 file was" if count == 1 else f"{count} files were"
        raise AirflowFailException(
            f"{files} not delivered for {self.config.delivery_key}:\n"
            + "\n".join(lines)
            + "\nMend the cause, then clear this run: only the files that failed are sent again."
        )

    @staticmethod
    def _failed(run: Run, count: int) -> list[Entry]:
        """The failed entries; the index lags behind its table by a moment, so it is asked until all are there."""
        deadline = time.monotonic() + _INDEX_PATIENCE
        while True:
            failed = run.ledger.held_entries(run.owner.run_id)
            if len(failed) >= count or time.monotonic() > deadline:
                return failed
            time.sleep(0.5)
