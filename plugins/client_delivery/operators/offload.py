"""R6.1: a container of its own for a big file, started through Airflow's ECS operator and awaited in the triggerer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.exceptions import EcsOperatorError
from airflow.providers.amazon.aws.hooks.ecs import EcsHook
from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from client_delivery.operators.triggers.container import TaskDoneTrigger
from client_delivery.run import container_trouble
from client_delivery.run.container_task import NoContainers, stop_all

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.container_task import ContainerTask
    from client_delivery.run.offloaded import Trouble
    from client_delivery.runtime.settings import OffloadSettings


class ContainerOperator(EcsRunTaskOperator):
    """Runs one batch in a container. A try that finds the container of an earlier try running waits for that one.

    Raises :class:`~client_delivery.run.container_task.NoContainers`.

    :param task: what is asked of ECS.
    """

    def __init__(self, *, task: ContainerTask, **kwargs: Any) -> None:
        super().__init__(overrides={}, deferrable=True, reattach=True, **task.arguments(), **kwargs)
        self._task = task

    def start(self, context: Context, kept: dict[str, Any]) -> None:
        """Start the container, or find it, and defer; ``kept`` is handed to ``execute_complete`` besides the event.

        Raises whatever kept ECS from taking it: :func:`not_started` explains.
        """
        self.overrides = self._task.overrides()
        # Airflow's guard around ``execute`` is for operators that a DAG author nests.
        execute: Any = EcsRunTaskOperator.execute
        try:
            execute.__wrapped__(self, context)
        except TaskDeferred as deferred:
            trigger = TaskDoneTrigger(**deferred.trigger.serialize()[1])
            raise TaskDeferred(
                trigger=trigger, method_name=deferred.method_name, kwargs=kept, timeout=deferred.timeout
            ) from None

    def ended(self, event: dict[str, Any]) -> Trouble | None:
        """What is wrong with how the container ended; None if the ledger says all there is to say."""
        return container_trouble.how_it_ended(self.client, event["cluster"], event["task_arn"], event.get("why"))


def not_started(error: Exception) -> Trouble:
    """Why ECS did not take a container, from what :class:`ContainerOperator` raised."""
    if isinstance(error, EcsOperatorError):
        return container_trouble.refused(error.failures)
    return container_trouble.not_started(error, tells=isinstance(error, AirflowException | NoContainers))


def stop_containers(ecs: OffloadSettings, delivery_key: str, reason: str) -> list[str]:
    """Stop every container that still works for that client; returns their ARNs (R3.5)."""
    return stop_all(EcsHook(aws_conn_id="aws_default").conn, ecs, delivery_key, reason)
