"""R8.3: the run's colour."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.notify import look_for_late, post_of
from client_delivery.run.closing import WoundUp, deactivate, failures, settle
from client_delivery.run.mails import FinishedMail
from client_delivery.run.rules import tell_of_job

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.context import Run


class ReportOperator(DeliveryOperator):
    """The run's last word: red, with names and reasons, if any file of this run ended in ``fail`` (R8.3)."""

    winds_up = True

    def execute(self, context: Context) -> None:
        """Raises if any file failed."""
        run = self.run_of(context)
        wound_up: WoundUp | None = context["ti"].xcom_pull(task_ids="deactivate")
        if wound_up is None or wound_up.get("life") != str(run.owner):
            wound_up = self._wind_up(run)
        look_for_late(self, run, delivered=True)
        failed = failures(run, wound_up)
        run.end()
        if failed:
            raise AirflowFailException(failed)

    def _wind_up(self, run: Run) -> WoundUp:
        """What the tasks between transfers and report do, where they did not run in this life.

        The UI can clear only the failed tasks of a run: the transfers and this one, but none in between.
        """
        settle(run)
        mail = FinishedMail(run, post_of(self, run))
        tell_of_job(mail)
        if run.notifies:
            try:
                mail.send_due()
            except Exception as error:  # never the delivery's failure (R7.3)
                run.log_event("mail_not_sent", level=logging.ERROR, kind="finished", error=str(error))
        return deactivate(run)
