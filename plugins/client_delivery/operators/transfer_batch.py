"""R6: sends one batch of files, from the worker or by a container (R6.1)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.triggers.pause import PauseTrigger
from client_delivery.run.offloaded import Pause, Waiting, after_end, after_trouble
from client_delivery.run.transfer import BatchTransfer, FailedForGood, NotFinished, left_of, longest_try

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.operators.offload import ContainerOperator
    from client_delivery.run.batches import BatchRef
    from client_delivery.run.context import Run

_GRACE = timedelta(minutes=15)


class TransferBatchOperator(DeliveryOperator):
    """Delivers what is still ``processing`` of one batch; Airflow's retries come back for the rest (R6.3).

    Cleared in the UI, alone or with the whole run, it first gives what failed fresh attempts (R5.4).

    :param batch: the batch, as registering described it.
    """

    def __init__(self, *, batch: BatchRef, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch
        self._stop = threading.Event()
        if self.config is not None:
            # Airflow's own limit raises in the middle of anything: it is for a try that does not heed the one before.
            self.execution_timeout = longest_try(self.config, batch) + _GRACE

    def execute(self, context: Context) -> dict[str, int]:
        """Returns counts. Raises if a file failed, for good or to be retried."""
        if not self.batch["files"]:
            return {"delivered": 0}
        run = self.run_of(context)
        with _retried_or_not():
            batch = BatchTransfer(run, self.batch)
            known = batch.take_on()
            if not self.batch["offloaded"]:
                return batch.send(known, self._stop)
            return self._start(run, context, Waiting.begin()) if left_of(known) else batch.conclude(known)

    def start_again(self, context: Context, event: dict[str, Any], since: float, refusals: int) -> dict[str, int]:
        """Called when ECS has been left alone for a while."""
        run = self.run_of(context)
        with _retried_or_not():
            batch = BatchTransfer(run, self.batch)
            entries = batch.entries()
            return self._start(run, context, Waiting(since, refusals)) if left_of(entries) else batch.conclude(entries)

    def execute_complete(
        self, context: Context, event: dict[str, Any], since: float | None = None, refusals: int = 0
    ) -> dict[str, int]:
        """Called when the container has ended."""
        run = self.run_of(context)
        waiting = Waiting.begin() if since is None else Waiting(since, refusals)
        trouble = self._container(run, refusals).ended(event)
        self.log_event("container_ended", task=event["task_arn"], trouble=trouble.text if trouble else None)
        with _retried_or_not():
            return self._paused(after_end(run, BatchTransfer(run, self.batch), trouble, waiting))

    def on_kill(self) -> None:
        """Airflow wants the task to end: stop between two writes and keep what is needed to resume."""
        self._stop.set()

    def _start(self, run: Run, context: Context, waiting: Waiting) -> dict[str, int]:
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


@contextmanager
def _retried_or_not() -> Iterator[None]:
    """What a batch says of its files, in the exceptions by which Airflow retries a task or does not."""
    try:
        yield
    except NotFinished as error:
        raise AirflowException(str(error)) from None
    except FailedForGood as error:
        raise AirflowFailException(str(error)) from None
