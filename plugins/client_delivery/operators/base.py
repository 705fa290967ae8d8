"""What every task of a delivery has in common."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from client_delivery.operators import task_log
from client_delivery.operators.alarms import alarm_line
from client_delivery.operators.run import run_in, run_ref
from client_delivery.run.as_begun import GoesBy, goes_by
from client_delivery.runtime.events import log_client_event

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.config.model import ClientConfig
    from client_delivery.run.context import Run


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
        by = GoesBy(self.config, context["params"])
        if self.goes_by_begin(context):
            by = goes_by(run_ref(context), by.config, by.params, winds_up=self.winds_up)
        self.has_begun = by.has_begun
        if by.config is None:
            raise AirflowFailException(self.problem)
        self._acting_for = by.config
        return run_in(context, by.config, by.params)

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
