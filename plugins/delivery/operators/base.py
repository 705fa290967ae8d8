"""What every task of a delivery has in common."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import structlog
from airflow.sdk import BaseOperator

from delivery.events import log_event
from delivery.operators.run import Run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from delivery.config.model import ClientConfig


class DeliveryOperator(BaseOperator):
    """An operator that works for one client's configuration.

    :param config: the client's configuration; it holds no credential.
    """

    def __init__(self, *, config: ClientConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config

    def run_of(self, context: Context) -> Run:
        """What this task knows of its run."""
        return Run.of(self.config, context)

    def log_event(self, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """One structured line that names the client (R8.1)."""
        log_event(
            logging.getLogger(__name__),
            event,
            level=level,
            configuration=self.config.name,
            client_h_number=self.config.delivery_key,
            **fields,
        )

    def alarm(self, name: str) -> None:
        """A line that an alarm counts by client."""
        alarm_line(name, client=self.config.delivery_key, configuration=self.config.name)


def alarm_line(name: str, *, client: str, configuration: str) -> None:
    """A line that an alarm counts by client (``infra/alarms.py``).

    Airflow's task log wraps the lines of :func:`log_event` into JSON as texts, in which CloudWatch finds no fields;
    what is logged by structlog stays JSON.
    """
    structlog.get_logger(__name__).error("alarm", alarm=name, client=client, configuration=configuration)


def note_red_task(context: Context) -> None:
    """Called when a task has failed after its last retry; a run's end has an event of its own (``run_failed``)."""
    task = context["task"]
    if isinstance(task, DeliveryOperator) and task.task_id != "report":
        task.alarm("task_red")
