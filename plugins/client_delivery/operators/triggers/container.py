"""Waits, in the triggerer, until a container has ended, whatever ECS and CloudWatch do meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from airflow.providers.amazon.aws.triggers import ecs
from airflow.triggers.base import TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from client_delivery.runtime.backoff import Backoff

_MOST_TROUBLES = 15
"""In a row; with the pauses between them about an hour."""
_FORGOTTEN = 3
"""In a row, after which a task that ECS does not know is not only too new: its responses are consistent in the end
(https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html)."""
_LONGEST_PAUSE = 300.0
_A_WHILE = 600.0
"""Seconds of waiting after which trouble is not in a row with what was before."""


class TaskDoneTrigger(ecs.TaskDoneTrigger):
    """Airflow's trigger, which ends at the first request without a response; this one asks again.

    A container is not less at work because nobody can ask for it: giving up would cost tries of the task, and with the
    last one the file. A task that ECS has forgotten (an hour after its end) yields an event as well: the ledger then
    says what it did. Log lines that cannot be read never end the wait.
    """

    _token: str | None = None

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event: how it went (``success``, or ``unknown`` with the reason ``why``), task and cluster."""
        troubles = forgotten = 0
        while True:
            began = time.monotonic()
            try:
                # It closes its clients, and reads the log's last lines, before anybody else hears of the end.
                async with aclosing(cast(AsyncGenerator[TriggerEvent], super().run())) as events:
                    event = await anext(events)
            except Exception as error:
                troubles = 1 if time.monotonic() - began > _A_WHILE else troubles + 1
                # Airflow's trigger takes a task out of a response that has none.
                forgotten = forgotten + 1 if isinstance(error, IndexError) else 0
                if forgotten >= _FORGOTTEN or troubles >= _MOST_TROUBLES:
                    why = "ECS no longer knows it" if forgotten else f"ECS does not say: {error}"
                    yield TriggerEvent(
                        {"status": "unknown", "why": why, "task_arn": self.task_arn, "cluster": self.cluster}
                    )
                    return
                pause = Backoff(2.0 * self.waiter_delay, _LONGEST_PAUSE, jitter=False).pause(troubles)
                self.log.warning(
                    "ECS does not respond (%s); the next request follows in %.0f s", type(error).__name__, pause
                )
                await asyncio.sleep(pause)
            else:
                yield event
                return

    async def _forward_logs(self, logs_client: Any, next_token: str | None = None) -> str | None:
        try:
            self._token = await super()._forward_logs(logs_client, next_token or self._token)
        except (BotoCoreError, ClientError) as error:
            self.log.warning("The container's log cannot be read (%s)", type(error).__name__)
        return self._token
