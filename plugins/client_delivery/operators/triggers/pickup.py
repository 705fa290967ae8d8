"""Waits, in the triggerer, until a pick-up holds something to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.life import RunRef
from client_delivery.run.context import Run

_INTERVAL = 30.0


class PickupTrigger(BaseTrigger):
    """Looks every ``interval`` seconds until there is something to do or the ``deadline`` is over.

    An error of S3 or the ledger ends the wait and fails the task, which Airflow then retries: it is never taken
    for "nothing there yet". The deadline is a point in time, so a restarted triggerer does not start over.

    :param configuration: the client's configuration as JSON; it holds no credential.
    :param params: the run's parameters.
    :param owner: the run, as ``dag_id/run_id/generation``.
    :param deadline: seconds since the epoch.
    :param interval: seconds between two looks.
    """

    def __init__(
        self,
        configuration: dict[str, Any],
        params: dict[str, Any],
        owner: str,
        deadline: float,
        interval: float = _INTERVAL,
    ) -> None:
        super().__init__()
        self.configuration = configuration
        self.params = params
        self.owner = owner
        self.deadline = deadline
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow stores and revives the trigger."""
        return (
            "client_delivery.operators.triggers.pickup.PickupTrigger",
            {
                "configuration": self.configuration,
                "params": self.params,
                "owner": self.owner,
                "deadline": self.deadline,
                "interval": self.interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event: ``{"found": bool}``."""
        run = Run(ClientConfig.model_validate(self.configuration), RunRef.parse(self.owner), self.params)
        while True:
            # boto3 blocks: it must not hold up the other triggers of this process.
            closed = run.closed_until(datetime.now(UTC))
            if not (closed or (await asyncio.to_thread(run.look)).idle):
                yield TriggerEvent({"found": True})
                return
            if time.time() >= self.deadline:
                yield TriggerEvent({"found": False})
                return
            await asyncio.sleep(min(self.interval, max(0.0, self.deadline - time.time())))
