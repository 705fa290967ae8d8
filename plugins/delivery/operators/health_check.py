"""R4.2: what a run that died left active."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from delivery.attempt import file_fields
from delivery.operators.base import DeliveryOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class HealthCheckOperator(DeliveryOperator):
    """Sets inactive, and logs as an error, every entry of this client that is still active (R4.2).

    With ``max_active_runs=1`` nobody else is at work now: what is active belongs to a run that died. Setting it
    inactive locks out whoever of it may still be alive (R3.5); the next tasks resume what is unfinished (R4.6).
    """

    def execute(self, context: Context) -> int:
        """Returns how many entries were left over."""
        run = self.run_of(context)
        abandoned = [entry for entry in run.ledger.open_entries() if entry.active]
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
