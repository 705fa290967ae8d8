"""R5: the ledger learns of every file before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.notify import look_for_late
from client_delivery.run.detection import FormRefused
from client_delivery.run.registration import register

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.batches import BatchRef


class RegisterFilesOperator(DeliveryOperator):
    """Decides for each file by the ledger (R5), clears away what was sent before, and plans the batches.

    Safe to run again at any point: what an earlier try registered is taken up anew.
    """

    def execute(self, context: Context) -> list[BatchRef]:
        """Returns the workers' batches; skips the rest of the run if nothing is left to send or to report.

        Raises if the run was asked for files of which none can be sent.
        """
        run = self.run_of(context)
        try:
            registered = register(run)
        except FormRefused as error:
            raise AirflowFailException(str(error)) from None
        if registered.form:
            # A task cannot set its run's note: Airflow's Execution API has no call for it (3.2.1). The UI shows XComs.
            context["ti"].xcom_push(key="trigger_form", value=registered.form)
        if not registered.batches:
            look_for_late(self, run, delivered=False)
            raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))
        return registered.batches
