"""R2.6: a wrong configuration is seen, not silently absent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from client_delivery.operators.run import run_in, run_ref
from client_delivery.operators.states import states_of_tasks
from client_delivery.operators.tasks import FIRST_TASK, FORMER_FIRST_TASK
from client_delivery.run.as_begun import configuration_of
from client_delivery.run.context import Run
from client_delivery.run.leftovers import deactivate_of_removed
from client_delivery.runtime.events import LOGGER, log_event

if TYPE_CHECKING:
    from airflow.sdk import Context

_NOT_BEGUN = (None, "scheduled", "queued", "removed", "upstream_failed")
_CLIENTS = (
    "Nothing is delivered for this client until its file is corrected. `make check-config` shows the same messages "
    "before a file is deployed."
)


class ConfigurationErrorOperator(BaseOperator):
    """Fails, and says what is wrong with the client's file; before all tasks of a delivery, so that none of them runs.

    A run that had begun when the file became wrong, or was removed, ends as it began (R4.7): there it is skipped.

    :param message: file, line, field, what was found and what is accepted.
    :param advice: what it means, and what to do.
    :param removed: the file is gone. A run that was ended by hand cannot set its files inactive any more: this does.
    """

    def __init__(self, *, message: str, advice: str = _CLIENTS, removed: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message
        self.advice = advice
        self.removed = removed

    def execute(self, context: Context) -> None:
        """Raises in any case."""
        if self.downstream_task_ids and self._run_has_begun(context):
            raise AirflowSkipException("This run began before the file became wrong. It finishes as it began.")
        log_event(LOGGER, "configuration_wrong", level=logging.ERROR, configuration=self.dag_id)
        left = self._deactivate(context) if self.removed else ""
        raise AirflowFailException(f"{self.message}{left}\n{self.advice}")

    def _run_has_begun(self, context: Context) -> bool:
        first = (FIRST_TASK, FORMER_FIRST_TASK)
        states = states_of_tasks(context["ti"], self.dag_id, run_ref(context).run_id, first)
        return any(states.get(task) not in _NOT_BEGUN for task in first)

    def _deactivate(self, context: Context) -> str:
        """What the last run of a removed file has left active; returns what was done."""
        begun = Run.begun(run_ref(context))
        config = configuration_of(begun) if begun else None
        if begun is None or config is None:
            return ""
        return deactivate_of_removed(run_in(context, config), begun)
