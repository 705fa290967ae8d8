"""R4.2: what a run that died left active."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from delivery.attempt import file_fields
from delivery.operators.base import DeliveryOperator
from delivery.packages import missing_packages, refusal_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from delivery.operators.run import Run

ERROR_TASK = "configuration_error"
"""The task that only a wrong file's DAG has (:class:`~delivery.operators.configuration_error`)."""


class HealthCheckOperator(DeliveryOperator):
    """Sets inactive, and logs as an error, every entry of this client that is still active (R4.2).

    What is active belongs to a run that died, unless Airflow says that the run is under way: then this one waits for
    it by its retries, and ends red. Setting an entry inactive locks out whoever of a dead run may still be alive
    (R3.5); the next tasks resume what is unfinished (R4.6).
    """

    as_begun = False

    def execute(self, context: Context) -> int:
        """Returns how many entries were left over. Raises while another run of the client is under way (R4.1)."""
        if missing := missing_packages():
            self.log_event("packages_missing", level=logging.ERROR, packages=missing)
            raise refusal_of(missing)
        run = self.run_of(context)
        self._refuse_a_run_of_a_wrong_file(context, run)
        abandoned = [entry for entry in run.ledger.open_entries() if entry.active]
        if others := run.others_under_way(abandoned):
            named = ", ".join(f"{ref.run_id} of the DAG {ref.dag_id or self.dag_id}" for ref in others)
            raise AirflowException(
                f"Another run for {run.config.delivery_key} is under way: {named}. Only one may be at a time, so this "
                "one has done nothing; its next try looks again. If that run hangs, mark it as failed in the Airflow "
                "UI: the next run then takes over what it left."
            )
        for entry in abandoned:
            self.log_event(
                "entry_left_active",
                level=logging.ERROR,
                left_by=str(entry.owned_by),
                **{name: value for name, value in file_fields(entry).items() if name != "client_h_number"},
            )
        if abandoned and run.settings.offload is not None:
            from delivery.operators.offload import stop_containers

            # Before the entries are let go of: a try that dies here leaves them for the next one to find.
            for task in stop_containers(
                run.settings.offload, run.config.delivery_key, f"left over; {run.owner} begins"
            ):
                self.log_event("container_left_over_stopped", level=logging.WARNING, task=task)
        run.ledger.deactivate(abandoned)
        return len(abandoned)

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
                f"This run began while the file {run.config.name}.yaml was wrong. The file is right now, and the next "
                "run delivers; to deliver at once, clear this run or trigger the DAG."
            )
