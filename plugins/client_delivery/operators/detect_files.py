"""R4.3, R4.4: is there anything to do?"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

from client_delivery.operators.base import DeliveryOperator, HeldFiles
from client_delivery.operators.notify import look_for_late, post_of
from client_delivery.run.detection import FormRefused, check_form, detect, end_idle, goes_on

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.pickup.survey import Findings
    from client_delivery.run.context import Run


class DetectFilesSensor(DeliveryOperator, BaseSensorOperator):
    """Looks for the done file, for new files and for unfinished work; finding nothing, skips the rest of the run.

    An idle run ends here, green, with nothing written and nobody mailed (R4.4); red while a file that failed earlier
    still waits (R5.9). A run that was triggered with ``wait_minutes`` waits that long for something to do, deferred:
    it then occupies no worker slot.
    """

    as_begun = False

    def poke(self, context: Context) -> bool:
        """Whether there is anything to do."""
        run = self.run_of(context)
        return goes_on(run, detect(run))

    def execute(self, context: Context) -> None:
        """Go on, wait, or skip everything downstream. Raises if the form asks for what there cannot be, or is not."""
        run = self.run_of(context)
        try:
            check_form(run)
        except FormRefused as error:
            raise AirflowFailException(str(error)) from None
        found = detect(run)
        if goes_on(run, found):
            return
        minutes = context["params"]["wait_minutes"]
        if not minutes:
            self._end(run, found)
        from client_delivery.operators.triggers.pickup import PickupTrigger

        seconds = minutes * 60
        self.defer(
            trigger=PickupTrigger(
                configuration=run.config.model_dump(mode="json"),
                params=dict(context["params"]),
                owner=str(run.owner),
                deadline=time.time() + seconds,
            ),
            method_name="resume_execution_after_wait",
            # The trigger keeps the deadline; this only catches a trigger that never reports.
            timeout=timedelta(seconds=seconds + 600),
        )

    def resume_execution_after_wait(self, context: Context, event: dict[str, Any]) -> None:
        """Called with what the trigger found."""
        run = self.run_of(context)
        run.log_event("wait_ended", found=event["found"])
        if not event["found"]:
            self._end(run, detect(run))

    def _end(self, run: Run, found: Findings) -> NoReturn:
        """Skip the rest of the run. Raises instead while a failed file waits: the run stays red until it is solved."""
        try:
            end = end_idle(run, found, lambda: post_of(self, run))
        except FormRefused as error:
            raise AirflowFailException(str(error)) from None
        look_for_late(self, run, delivered=False)
        if end.overdue:
            self.alarm("files_overdue")
        if end.held:
            raise HeldFiles(end.held)
        raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))
