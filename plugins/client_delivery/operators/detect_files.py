"""R4.2 to R4.4: the client's health, and whether there is anything to do."""

from __future__ import annotations

import logging
import time
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped

from client_delivery.operators.base import DeliveryOperator, HeldFiles
from client_delivery.operators.post import look_for_late, post_of
from client_delivery.operators.tasks import ERROR_TASK
from client_delivery.run.again import dismiss
from client_delivery.run.detection import FormRefused, check_form, detect, end_idle, goes_on
from client_delivery.run.health import AnotherClient, AnotherRunUnderWay, take_stock
from client_delivery.run.questions import answering_tasks
from client_delivery.runtime.packages import missing_packages, refusal_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.pickup.survey import Findings
    from client_delivery.run.context import Run


class DetectFilesSensor(DeliveryOperator, BaseSensorOperator):
    """A run's first two steps; the first that finds no reason to go on skips the rest of the run.

    *Health check*: what a run that died left active is logged as an error and set inactive (R4.2). While another run of
    the client is under way, this one waits for it by its retries, and ends red.

    *Detection*: looks for the done file, for new files and for unfinished work (R4.3). An idle run ends here, green,
    with nothing written and nobody mailed (R4.4); red while a file that failed earlier still waits (R5.9). A run that
    was triggered with ``wait_minutes`` waits that long for something to do, deferred: it then occupies no worker slot.

    What is done with what was found is a subclass's (:meth:`proceed`), in the same task: a task of its own would cost
    every run two seconds (docs/decisions/0034-four-tasks-in-a-row.md).
    """

    def execute(self, context: Context) -> Any:
        """Returns what :meth:`proceed` does; skips the rest of the run if there is nothing to send or to report.

        Raises while another run of the client is under way (R4.1), if the pick-up belongs to another client number, and
        if the form asks for what there cannot be, or is not.
        """
        if missing := missing_packages():
            self.log_event("packages_missing", level=logging.ERROR, packages=missing)
            raise refusal_of(missing)
        run = self.run_of(context)
        if self.has_begun:
            # An earlier try of this task did these steps, and what is active now is this run's own.
            return self.proceed(context, run)
        self._refuse_a_run_of_a_wrong_file(context, run)
        if answering := answering_tasks(context["params"]):
            # Nothing is looked at or changed: another run may be in the middle of it. Who has asked is kept.
            run.note_act()
            downstream = self.get_flat_relative_ids(upstream=False)
            raise DownstreamTasksSkipped(tasks=sorted(downstream.difference(answering)))
        self._check_health(run)
        try:
            check_form(run)
        except FormRefused as error:
            raise AirflowFailException(str(error)) from None
        found = detect(run)
        if not goes_on(run, found):
            if minutes := context["params"]["wait_minutes"]:
                self._wait(context, run, minutes * 60)
            self._end(run, found)
        return self.proceed(context, run)

    def poke(self, context: Context) -> bool:
        """Whether there is anything to do."""
        run = self.run_of(context)
        return goes_on(run, detect(run))

    def resume_execution_after_wait(self, context: Context, event: dict[str, Any]) -> Any:
        """Called with what the trigger found."""
        run = self.run_of(context)
        run.log_event("wait_ended", found=event["found"])
        if not event["found"]:
            self._end(run, detect(run))
        return self.proceed(context, run)

    def goes_by_begin(self, context: Context) -> bool:
        """Only where an earlier try may have begun something: an idle run asks the ledger for no more than it must."""
        return context["ti"].try_number > 1

    def _check_health(self, run: Run) -> None:
        try:
            left = take_stock(run)
        except AnotherRunUnderWay as error:
            raise AirflowException(str(error)) from None
        except AnotherClient as error:
            raise AirflowFailException(str(error)) from None
        run.log_event("health_checked", left_active=left)
        run.note_act()
        dismiss(run)

    def _wait(self, context: Context, run: Run, seconds: int) -> NoReturn:
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

    @abstractmethod
    def proceed(self, context: Context, run: Run) -> Any:
        """What to do now that there is something to do."""

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
        self.skip_the_rest()

    def skip_the_rest(self) -> NoReturn:
        """End the run here, as it is."""
        raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))

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
