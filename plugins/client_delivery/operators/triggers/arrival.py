"""Watches, in the triggerer, the pick-ups of clients whose runs start on arrival (R4.1).

Airflow 3.2.1 gives every triggerer that runs each watcher, and starts one again whenever it has ended
(``Trigger.get_sorted_triggers`` in airflow/models/trigger.py; https://github.com/apache/airflow/pull/65792 has fixed
it since). So what a watcher knows is kept by process and client, whichever instance asks (``run/watchers.py``); whether
a run is to start follows from pick-up and ledger alone.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from pydantic import ValidationError

from client_delivery.run.watchers import SAID_EVERY, Watcher, Watchers
from client_delivery.runtime.events import log_client_event

CLASSPATH = "client_delivery.operators.triggers.arrival.ArrivalTrigger"


async def _under_way(dag_id: str) -> bool:
    """Ask Airflow, by the triggerer's own connection to it: the only one that a trigger may use in its event loop."""
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import GetDRCount

    asked = GetDRCount(dag_id=dag_id, states=["queued", "running"])
    response: Any = await task_runner.SUPERVISOR_COMMS.asend(asked)
    return bool(response.count)


WATCHERS = Watchers(_under_way)


class ArrivalTrigger(BaseEventTrigger):
    """Tells Airflow whenever something has come for one client; never ends.

    An error would not end it for long: Airflow starts it again within a second. So it keeps all errors to itself, looks
    less often while they last, and says so once an hour.

    :param configuration: the client's configuration as JSON, without defaults; it holds no credential. A text, for
        Airflow compares a trigger's arguments by what they are stored as.
    """

    def __init__(self, configuration: str) -> None:
        super().__init__()
        self.configuration = configuration

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow stores and revives the trigger."""
        return CLASSPATH, {"configuration": self.configuration}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields an event for each arrival: ``{"files": number}``."""
        while (watcher := self._watcher()) is None:
            await WATCHERS.sleep(SAID_EVERY)
        while True:
            if (payload := await WATCHERS.next(watcher)) is not None:
                yield TriggerEvent(payload)
                watcher.untold = None  # Airflow has it: it asks for the next one.

    def _watcher(self) -> Watcher | None:
        """None for a configuration of another release, which this one cannot read: its DAG's next parse replaces it."""
        try:
            return WATCHERS.of(self.configuration)
        except ValidationError:  # it would quote what is in the file
            log_client_event(
                None, "arrival_not_watched", level=logging.WARNING, error="another release's configuration"
            )
            return None
