"""R8.3: the run's colour."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from airflow.sdk.exceptions import AirflowFailException

from client_delivery.ledger.entry import Status
from client_delivery.operators.base import DeliveryOperator
from client_delivery.runtime.events import as_json, one_line

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.ledger.entry import Entry
    from client_delivery.operators.deactivate import DeactivateOperator, WoundUp
    from client_delivery.operators.notify import NotifyFinishedOperator
    from client_delivery.operators.run import Run
    from client_delivery.operators.settle import SettleOperator

_WIND_UP = ("settle", "notify_finished", "deactivate")
_NAMED = 20


class ReportOperator(DeliveryOperator):
    """The run's last word: red, with names and reasons, if any file of this run ended in ``fail`` (R8.3)."""

    winds_up = True

    def execute(self, context: Context) -> None:
        """Raises if any file failed."""
        run = self.run_of(context)
        wound_up: WoundUp | None = context["ti"].xcom_pull(task_ids="deactivate")
        if wound_up is None or wound_up.get("life") != str(run.owner):
            wound_up = self._wind_up(run)
        failed = self._failed(run)
        run.end()
        # What the ledger holds of this run may be more: another batch's files, or what an earlier try closed.
        count = max(len(failed), wound_up["failed"])
        if not count:
            return
        self.log_event("run_failed", level=logging.ERROR, run=str(run.owner), failed=count)
        lines = [f"  {as_json(entry.file_name)}: {one_line(str(entry.last_error))}" for entry in failed[:_NAMED]]
        if count > len(lines):
            lines.append(f"  and {count - len(lines)} more; each is in the ledger and in the finish e-mail")
        files = "1 file was" if count == 1 else f"{count} files were"
        raise AirflowFailException(
            f"{files} not delivered for {run.config.delivery_key}:\n"
            + "\n".join(lines)
            + "\nMend the cause, then clear this run: only the files that failed are sent again."
        )

    def _wind_up(self, run: Run) -> WoundUp:
        """What the tasks between transfers and report do, where they did not run in this life.

        The UI can clear only the failed tasks of a run: the transfers and this one, but none in between.
        """
        settle, finished, deactivate = (self._task(task_id, run) for task_id in _WIND_UP)
        cast("SettleOperator", settle).settle(run)
        if run.notifies:
            try:
                cast("NotifyFinishedOperator", finished).notify(run)
            except Exception as error:  # never the delivery's failure (R7.3)
                self.log_event("mail_not_sent", level=logging.ERROR, kind="finished", error=str(error))
        return cast("DeactivateOperator", deactivate).let_go(run)

    def _task(self, task_id: str, run: Run) -> DeliveryOperator:
        task = cast("DeliveryOperator", self.dag.get_task(task_id))
        task.acting_for(run)
        return task

    @staticmethod
    def _failed(run: Run) -> list[Entry]:
        """The failed entries of this run that are closed."""
        entries = run.ledger.of_run(run.owner)
        return [entry for entry in entries if entry.status is Status.FAIL and not entry.active]
