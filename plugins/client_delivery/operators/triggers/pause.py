"""Waits, in the triggerer, for a point in time. Airflow's own one writes a log line each second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class PauseTrigger(BaseTrigger):
    """Fires once, at ``until``; a restarted triggerer does not start over.

    :param until: seconds since the epoch.
    """

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow stores and revives the trigger."""
        return "client_delivery.operators.triggers.pause.PauseTrigger", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one event."""
        await asyncio.sleep(max(0.0, self.until - time.time()))
        yield TriggerEvent({"until": self.until})
