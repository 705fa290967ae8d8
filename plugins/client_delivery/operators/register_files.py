"""R5: what the ledger learns of each file before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.operators.detect_files import DetectFilesSensor
from client_delivery.operators.failing import failing_as_airflow_does
from client_delivery.operators.post import post_of
from client_delivery.run.last_look import look_for_late

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.batches import BatchRef
    from client_delivery.run.context import Run


class RegisterFilesSensor(DetectFilesSensor):
    """A run's first steps: health check and detection, and then the registration.

    *Registration*: decides for each file by the ledger whether it was sent before (R5), clears away what was, and plans
    the batches.

    Safe to run again at any point: what an earlier try registered is taken on again, with that try's configuration.
    """

    def proceed(self, context: Context, run: Run) -> list[BatchRef]:
        """Register what waits; returns the batches. Raises AirflowFailException if the form asks for what is not."""
        # Imported here: most runs are idle, and need none of it.
        from client_delivery.run.registration import register

        with failing_as_airflow_does():
            registered = register(run)
        if registered.form:
            # A task cannot set its run's note: Airflow's Execution API has no call for it (3.2.1). The UI shows XComs.
            context["ti"].xcom_push(key="trigger_form", value=registered.form)
        if not registered.batches:
            look_for_late(run, post_of(self, run), delivered=False)
            self.skip_the_rest()
        return registered.batches
