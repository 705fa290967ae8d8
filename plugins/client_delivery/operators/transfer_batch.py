"""R6: sends one batch of files, from the worker or by a container (R6.1)."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from client_delivery.operators.by_container import MayGoByContainer
from client_delivery.operators.failing import failing_as_airflow_does
from client_delivery.run.offloaded import Waiting
from client_delivery.run.transfer import BatchTransfer, left_of, longest_try

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.batches import BatchRef

_GRACE = timedelta(minutes=15)


class TransferBatchOperator(MayGoByContainer):
    """Delivers what is still ``processing`` of one batch; Airflow's retries come back for the rest (R6.3).

    Cleared in the UI, alone or with the whole run, it first gives what failed fresh attempts (R5.4).

    :param batch: the batch, as registration described it.
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
        with failing_as_airflow_does():
            batch = BatchTransfer(run, self.batch)
            known = batch.take_on()
            if not self.batch["offloaded"]:
                return batch.send(known, self._stop)
            return self.by_container(run, context, Waiting.begin()) if left_of(known) else batch.conclude(known)

    def on_kill(self) -> None:
        """Airflow wants the task to end: stop between two writes and keep what is needed to resume."""
        self._stop.set()
