"""How a run ends, or waits, that finds nothing to do (R4.4, R5.9)."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.failing import failing_as_airflow_does
from client_delivery.operators.post import post_of
from client_delivery.run.detection import end_idle
from client_delivery.run.last_look import look_for_late

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.pickup.survey import Findings
    from client_delivery.run.context import Run


class HeldFiles(AirflowFailException):
    """An idle run is red because files that failed earlier still wait (R5.9): the board says so already."""


class MayEndIdle(DeliveryOperator):
    """A task with which its run may end: the tasks after it are then skipped."""

    def end_idle(self, run: Run, found: Findings) -> NoReturn:
        """End the run. Raises instead while a failed file waits: the run stays red until it is solved."""
        with failing_as_airflow_does():
            end = end_idle(run, found, lambda: post_of(self, run))
        look_for_late(run, post_of(self, run), delivered=False)
        if end.overdue:
            self.alarm("files_overdue")
        if end.held:
            raise HeldFiles(end.held)
        self.skip_the_rest()

    def skip_the_rest(self, *, but: Collection[str] = ()) -> NoReturn:
        """End the run here, as it is; of the tasks after this one only these run."""
        raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False).difference(but)))

    def wait_for_files(self, context: Context, run: Run, seconds: int) -> NoReturn:
        """Look again and again, in the triggerer; then ``resume_execution_after_wait`` is called."""
        from client_delivery.operators.triggers.pickup import PickupTrigger

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
        raise AssertionError("Airflow did not defer")
