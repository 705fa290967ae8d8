"""R8.3: the run's colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from delivery.operators.base import DeliveryOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_NAMED = 20


class ReportOperator(DeliveryOperator):
    """The run's last word: red, with names and reasons, if any file of this run ended in ``fail`` (R8.3)."""

    def execute(self, context: Context) -> None:
        """Raises if any file failed."""
        run = self.run_of(context)
        failed = run.ledger.held_entries(run.owner.run_id)
        if not failed:
            return
        lines = [f"  {entry.file_name!r}: {entry.last_error}" for entry in failed[:_NAMED]]
        if len(failed) > _NAMED:
            lines.append(f"  and {len(failed) - _NAMED} more; each is in the ledger and in the finish e-mail")
        count = f"{len(failed)} file was" if len(failed) == 1 else f"{len(failed)} files were"
        raise AirflowFailException(
            f"{count} not delivered for {self.config.delivery_key}:\n"
            + "\n".join(lines)
            + "\nMend the cause, then clear this run: only the files that failed are sent again."
        )
