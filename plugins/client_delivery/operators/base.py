"""What every task of a delivery has in common."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from client_delivery.operators import task_log
from client_delivery.operators.run import run_in, run_ref
from client_delivery.run.context import Run, configuration_of
from client_delivery.run.questions import QUESTIONS
from client_delivery.runtime.events import log_client_event

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.config.model import ClientConfig


class HeldFiles(AirflowFailException):
    """An idle run is red because files that failed earlier still wait (R5.9): the board says so already."""


class DeliveryOperator(BaseOperator):
    """An operator that works for one client's configuration.

    A run that has files in hand ends as it began (R4.7): its tasks go by the configuration that the run began with, not
    by the file as it is now, which may be changed, wrong or gone.

    :param config: the client's configuration as its file is now; it holds no credential. None if the file is wrong.
    :param problem: what is wrong with the file.
    """

    as_begun = True
    """Whether the task goes by what its run began with; not one that only responds to a question."""
    winds_up = False
    """Whether the task may go by what an earlier life of its run began with, where the file is wrong: it sends
    nothing, but sets inactive what was in hand."""

    def __init__(self, *, config: ClientConfig | None, problem: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.problem = problem
        self._acting_for: ClientConfig | None = None
        self.has_begun = False
        """Whether the task goes by what this life of its run began with; known once :meth:`run_of` has been called."""

    def goes_by_begin(self, context: Context) -> bool:
        """Whether the task looks for what its run began with; not before anything can have begun."""
        return self.as_begun

    def pre_execute(self, context: Any) -> None:
        """Make the task's log one for people, before anything is said in it."""
        task_log.for_people()
        super().pre_execute(context)

    def run_of(self, context: Context) -> Run:
        """What this task knows of its run. Raises AirflowFailException if nobody knows its configuration."""
        owner = run_ref(context)
        begun = Run.begun(owner) if self.goes_by_begin(context) else None
        config = self.config
        params: Mapping[str, Any] = context["params"]
        self.has_begun = begun is not None and begun.life.is_same_life(owner)
        if begun is not None and (
            self.has_begun or (config is None and self.winds_up and begun.life.is_earlier_life_of(owner))
        ):
            config, params = configuration_of(begun) or config, {**params, **begun.params}
        if config is None:
            raise AirflowFailException(self.problem)
        return self.acting_for(run_in(context, config, params))

    def acting_for(self, run: Run) -> Run:
        """Let the task's log lines name the client of this run; returns the run."""
        self._acting_for = run.config
        return run

    def log_event(self, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """One structured line that names the client (R8.1)."""
        log_client_event(self._acting_for or self.config, event, level=level, **fields)

    def alarm(self, name: str) -> None:
        """A line that an alarm counts by client."""
        config = self._acting_for or self.config
        alarm_line(
            name,
            client=config.delivery_key if config else self.dag_id,
            configuration=config.name if config else self.dag_id,
        )


def alarm_line(name: str, *, client: str, configuration: str) -> None:
    """A line that an alarm counts by client (``infra/alarms.py``).

    Airflow's task log wraps the lines of :func:`log_event` into JSON as texts, in which CloudWatch finds no fields;
    what is logged by structlog stays JSON.
    """
    structlog.get_logger(__name__).error("alarm", alarm=name, client=client, configuration=configuration)


def note_red_task(context: Context) -> None:
    """Called when a task has failed after its last retry; a run's end has an event of its own (``run_failed``)."""
    task = context["task"]
    if not isinstance(task, DeliveryOperator) or task.task_id == "report" or task.task_id in QUESTIONS.values():
        return
    task.alarm("task_red")
    # The ledger says what happened to files, and the board says which are held.
    if task.config is None or task.task_id == "transfer_batch" or isinstance(context.get("exception"), HeldFiles):
        return
    name, run = task.config.name, run_in(context, task.config)
    ref = f"{run.owner.dag_id}/{run.owner.run_id}"
    run.note_on_board(lambda board: board.troubled(name, run.facts, task=task.task_id, run=ref))
