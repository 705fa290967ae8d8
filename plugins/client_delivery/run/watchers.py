"""When a process looks at the pick-ups of the clients whose runs start on arrival (R4.1).

It keeps what a watcher knows by client: Airflow 3.2.1 has several instances of one watcher, and starts it again each
time it has ended (``operators/triggers/arrival.py``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from zlib import crc32

from client_delivery.config.model import ClientConfig
from client_delivery.run.watching import Watch
from client_delivery.runtime.backoff import Backoff
from client_delivery.runtime.events import log_client_event, one_line
from client_delivery.runtime.settings import setting

T = TypeVar("T")

_THREADS = 8
"""Looks at once: boto3 blocks, and a bucket that does not respond holds one of them up, not the others' clients."""
_LONGEST_PAUSE = 900.0
SAID_EVERY = 3600.0
"""Seconds between two log lines about one client's trouble. Its runs tell people of it."""
_SOON = Backoff(first=10.0, longest=600.0, jitter=False)
"""Looks follow sooner at first while something waits for the end of a run."""
_LARGE = 10
"""Requests that a listing may take: a larger pick-up is looked at less often, for each costs money."""


@dataclass
class Watcher:
    """What this process knows of one client."""

    configuration: str
    watch: Watch
    interval: float
    due: float
    """When to look next, by the clock of the :class:`Watchers`."""
    looking: asyncio.Task[None] | None = None
    untold: dict[str, Any] | None = None
    """What is to be told Airflow and has not been, for the instance was cancelled."""
    waits: int = 0
    """Looks in a row that have found something while a run was under way."""
    failures: int = 0
    said_at: float | None = None


@dataclass
class Watchers:
    """The watchers of this process.

    :param under_way: whether Airflow has a run of that DAG, queued or running.
    :param clock: seconds, as of ``time.monotonic``; ``sleep`` goes by it.
    """

    under_way: Callable[[str], Awaitable[bool]]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    make: Callable[[ClientConfig], Watch] = Watch
    known: dict[str, Watcher] = field(default_factory=dict)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, thread_name_prefix="arrival"))

    def of(self, configuration: str) -> Watcher:
        """The watcher of a client; of an edited configuration it is a new one, which looks when the old one would."""
        config = ClientConfig.model_validate_json(configuration)
        before = self.known.get(config.name)
        if before is not None and before.configuration == configuration:
            return before
        interval = float(setting("arrival_seconds"))
        # Not all at once after a restart: each client has its place in the interval, by its name.
        due = before.due if before else self.clock() + interval * (crc32(config.name.encode()) % 1000) / 1000
        self.known[config.name] = watcher = Watcher(configuration, self.make(config), interval, due)
        return watcher

    async def next(self, watcher: Watcher) -> dict[str, Any] | None:
        """Look when it is time; what to tell Airflow, if anything. A look goes on though its instance is cancelled."""
        if watcher.untold is None and watcher.looking is None:
            await self.sleep(max(0.0, watcher.due - self.clock()))
        if watcher.untold is None:
            if watcher.looking is None:
                watcher.looking = asyncio.create_task(self._look(watcher))
            await asyncio.shield(watcher.looking)
        return watcher.untold

    async def _look(self, watcher: Watcher) -> None:
        watch = watcher.watch
        pause = watcher.interval
        try:
            arrival = await self._in_thread(watch.look)
            pause *= max(1, watch.requests / _LARGE)
            # A run that is under way takes the files, or leaves them to the one after it.
            if arrival is not None and await self.under_way(watch.config.name):
                watcher.waits += 1
                pause = min(pause, _SOON.pause(watcher.waits))
            else:
                watcher.waits = 0
                if arrival is not None and await self._in_thread(lambda: watch.claim(arrival)):
                    log_client_event(watch.config, "arrival", files=arrival.files)
                    watcher.untold = {"files": arrival.files}
            watcher.failures = 0
        except Exception as error:
            pause = self._trouble(watcher, error)
        finally:
            watcher.due = max(watcher.due + pause, self.clock())
            watcher.looking = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)

    def _trouble(self, watcher: Watcher, error: Exception) -> float:
        """Say it, but not each time; how long to wait."""
        watcher.failures += 1
        now = self.clock()
        if watcher.said_at is None or now - watcher.said_at >= SAID_EVERY:
            watcher.said_at = now
            log_client_event(
                watcher.watch.config,
                "arrival_not_looked_for",
                level=logging.WARNING,
                error=one_line(str(error)),
                failures=watcher.failures,
            )
        longest = max(_LONGEST_PAUSE, watcher.interval)
        return Backoff(watcher.interval, longest, jitter=False).pause(watcher.failures)
