"""R4.2 to R4.4: the client's health, and whether there is anything to do."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from client_delivery.operators.failing import failing_as_airflow_does
from client_delivery.operators.idle import MayEndIdle
from client_delivery.operators.states import states_of_tasks
from client_delivery.operators.tasks import ERROR_TASK
from client_delivery.run.detection import detect, goes_on
from client_delivery.run.first_steps import first_look, require_right_file
from client_delivery.run.questions import answering_tasks
from client_delivery.runtime.packages import missing_packages, refusal_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.context import Run


class DetectFilesSensor(MayEndIdle, BaseSensorOperator):
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
        with failing_as_airflow_does():
            require_right_file(run, lambda: self._began_wrong(context, run))
        if answering := answering_tasks(context["params"]):
            # Nothing is looked at or changed: another run may be in the middle of it. Who has asked is kept.
            run.note_act()
            self.skip_the_rest(but=answering)
        with failing_as_airflow_does():
            found = first_look(run)
        if not goes_on(run, found):
            if minutes := context["params"]["wait_minutes"]:
                self.wait_for_files(context, run, minutes * 60)
            self.end_idle(run, found)
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
            self.end_idle(run, detect(run))
        return self.proceed(context, run)

    def goes_by_begin(self, context: Context) -> bool:
        """Only where an earlier try may have begun something: an idle run asks the ledger for no more than it must."""
        return context["ti"].try_number > 1

    @abstractmethod
    def proceed(self, context: Context, run: Run) -> Any:
        """What to do now that there is something to do."""

    def _began_wrong(self, context: Context, run: Run) -> bool:
        states = states_of_tasks(context["ti"], self.dag_id, run.owner.run_id, [ERROR_TASK])
        return bool(states.get(ERROR_TASK, "skipped") != "skipped")
