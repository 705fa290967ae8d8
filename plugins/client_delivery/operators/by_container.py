"""R6.1: a task whose batch a container sends: it is deferred until that has ended, and waits where ECS has no room."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.failing import failing_as_airflow_does
from client_delivery.operators.triggers.pause import PauseTrigger
from client_delivery.run.offloaded import Pause, Waiting, after_end, after_trouble
from client_delivery.run.transfer import BatchTransfer, left_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.operators.offload import ContainerOperator
    from client_delivery.run.batches import BatchRef
    from client_delivery.run.context import Run


class MayGoByContainer(DeliveryOperator):
    """A task that may have a container send its batch. Airflow calls it again by the names of these methods."""

    batch: BatchRef

    def start_again(self, context: Context, event: dict[str, Any], since: float, refusals: int) -> dict[str, int]:
        """Called when ECS has been left alone for a while."""
        run = self.run_of(context)
        with failing_as_airflow_does():
            batch = BatchTransfer(run, self.batch)
            entries = batch.entries()
            waiting = Waiting(since, refusals)
            return self.by_container(run, context, waiting) if left_of(entries) else batch.conclude(entries)

    def execute_complete(
        self, context: Context, event: dict[str, Any], since: float | None = None, refusals: int = 0
    ) -> dict[str, int]:
        """Called when the container has ended."""
        run = self.run_of(context)
        waiting = Waiting.begin() if since is None else Waiting(since, refusals)
        trouble = self._container(run, refusals).ended(event)
        self.log_event("container_ended", task=event["task_arn"], trouble=trouble.text if trouble else None)
        with failing_as_airflow_does():
            return self._paused(after_end(run, BatchTransfer(run, self.batch), trouble, waiting))

    def by_container(self, run: Run, context: Context, waiting: Waiting) -> dict[str, int]:
        """Have the batch sent by a container: defers, or concludes with what kept ECS from taking it."""
        try:
            kept = {"since": waiting.since, "refusals": waiting.refusals}
            self._container(run, waiting.refusals).start(context, kept)
        except Exception as error:
            from client_delivery.operators.offload import not_started

            logging.getLogger(__name__).warning("ECS did not accept the container", exc_info=error)
            return self._paused(after_trouble(run, BatchTransfer(run, self.batch), not_started(error), waiting))
        raise AssertionError("Airflow's ECS operator did not defer")

    def _paused(self, outcome: Pause | dict[str, int]) -> dict[str, int]:
        if isinstance(outcome, Pause):
            self.defer(
                trigger=PauseTrigger(outcome.until),
                method_name="start_again",
                kwargs={"since": outcome.then.since, "refusals": outcome.then.refusals},
                timeout=timedelta(seconds=outcome.seconds + 600),
            )
        return outcome

    def _container(self, run: Run, refusals: int) -> ContainerOperator:
        # Imported here: Airflow's ECS operator costs seconds, which every task of every client would pay.
        from client_delivery.operators.offload import ContainerOperator
        from client_delivery.run.container_task import ContainerTask

        return ContainerOperator(task_id=self.task_id, task=ContainerTask(run, self.batch, refusals))
