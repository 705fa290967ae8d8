"""R4.2: what a run that died left active; and whether the pick-up still belongs to this client."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped

from client_delivery.operators.base import DeliveryOperator
from client_delivery.run.again import dismiss
from client_delivery.run.health import AnotherClient, AnotherRunUnderWay, take_stock
from client_delivery.run.questions import answering_tasks
from client_delivery.runtime.packages import missing_packages, refusal_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.context import Run

ERROR_TASK = "configuration_error"
"""The task that only a wrong file's DAG has (:class:`~client_delivery.operators.configuration_error`)."""


class HealthCheckOperator(DeliveryOperator):
    """Sets inactive, and logs as an error, every entry of this client that is still active (R4.2).

    While another run of the client is under way, this one waits for it by its retries, and ends red.
    """

    as_begun = False

    def execute(self, context: Context) -> int:
        """Returns how many entries were left over.

        Raises while another run of the client is under way (R4.1), and if the pick-up belongs to another client number.
        """
        if missing := missing_packages():
            self.log_event("packages_missing", level=logging.ERROR, packages=missing)
            raise refusal_of(missing)
        run = self.run_of(context)
        self._refuse_a_run_of_a_wrong_file(context, run)
        if answering := answering_tasks(context["params"]):
            # Nothing is looked at or changed: another run may be in the middle of it. Who has asked is kept.
            run.note_act()
            downstream = self.get_flat_relative_ids(upstream=False)
            raise DownstreamTasksSkipped(tasks=sorted(downstream.difference(answering)))
        try:
            left = take_stock(run)
        except AnotherRunUnderWay as error:
            raise AirflowException(str(error)) from None
        except AnotherClient as error:
            raise AirflowFailException(str(error)) from None
        run.note_act()
        dismiss(run)
        return left

    def _refuse_a_run_of_a_wrong_file(self, context: Context, run: Run) -> None:
        """A run that was due while the file was wrong delivers nothing when the file is corrected meanwhile.

        Nobody has asked for it: the wrong file's schedule need not be the corrected one's. Clearing it asks.
        """
        if run.owner.generation:
            return
        states: Any = context["ti"].get_task_states(
            dag_id=self.dag_id, task_ids=[ERROR_TASK], run_ids=[run.owner.run_id]
        )
        state = states.get(run.owner.run_id, {}).get(ERROR_TASK, "skipped")
        if state != "skipped":
            raise AirflowFailException(
                f"This run began while the file {run.config.name}.yaml was wrong. The file has been corrected since, "
                "and the next run delivers. To deliver at once, clear this run or trigger the DAG."
            )
