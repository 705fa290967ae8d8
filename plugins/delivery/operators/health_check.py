"""R4.2: what a run that died left active."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException

from delivery.attempt import file_fields
from delivery.operators.base import DeliveryOperator
from delivery.packages import missing_packages, refusal_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class HealthCheckOperator(DeliveryOperator):
    """Sets inactive, and logs as an error, every entry of this client that is still active (R4.2).

    What is active belongs to a run that died, unless Airflow says that the run is under way: then this one waits for
    it by its retries, and ends red. Setting an entry inactive locks out whoever of a dead run may still be alive
    (R3.5); the next tasks resume what is unfinished (R4.6).
    """

    def execute(self, context: Context) -> int:
        """Returns how many entries were left over. Raises while another run of the client is under way (R4.1)."""
        if missing := missing_packages():
            self.log_event("packages_missing", level=logging.ERROR, packages=missing)
            raise refusal_of(missing)
        run = self.run_of(context)
        abandoned = [entry for entry in run.ledger.open_entries() if entry.active]
        if others := run.others_under_way(abandoned):
            named = ", ".join(f"{ref.run_id} of the DAG {ref.dag_id or self.dag_id}" for ref in others)
            raise AirflowException(
                f"Another run for {self.config.delivery_key} is under way: {named}. Only one may be at a time, so this "
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
                run.settings.offload, self.config.delivery_key, f"left over; {run.owner} begins"
            ):
                self.log_event("container_left_over_stopped", level=logging.WARNING, task=task)
        run.ledger.deactivate(abandoned)
        return len(abandoned)
