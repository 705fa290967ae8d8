"""Crashes at every call: a child process runs a delivery, and is ended at one of its calls.

How it is ended is in :mod:`tests.faults.killer`.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import DownstreamTasksSkipped

from client_delivery.config.model import ClientConfig
from tests.faults.killer import Killer, When
from tests.support.runs import RunResult, Runs

_PATIENCE = 120.0


@dataclass(frozen=True)
class Death:
    """How the child ended."""

    killed: bool
    """False: it came to its end before that many calls."""
    call: str
    """The call at which it was killed."""
    calls: int


class ResumableRuns(Runs):
    """Runs that can be gone on with in another process, as Airflow does: what succeeded is not done again."""

    def __init__(self, config: ClientConfig, notes: Path) -> None:
        super().__init__(config)
        self.notes = notes

    def begin(self) -> RunResult:
        """A run that has done nothing yet."""
        result = self._begin(None)
        self._note(result)
        return result

    def go_on(self, **params: Any) -> RunResult:
        """The noted run, from the task in which it died: Airflow finds the worker gone, and tries that task again."""
        result: RunResult = pickle.loads(self.notes.read_bytes())
        return self._go(result, params)

    def _task(self, result: RunResult, name: str, params: Any, task: Any = None) -> Any:
        if result.states.get(name) in ("success", "skipped"):
            if name == "register_files" and name not in result.returned and result.batches is None:
                return DownstreamTasksSkipped  # it had found nothing to do, and the run was over
            return result.returned.get(name)
        value = super()._task(result, name, params, task)
        self._note(result)
        return value

    def _note(self, result: RunResult) -> None:
        kept = replace(result, states=dict(result.states), errors={}, tries={}, xcoms=dict(result.xcoms))
        half = self.notes.with_suffix(".half")
        half.write_bytes(pickle.dumps(kept))
        half.replace(self.notes)


def die_at(at: int, when: When, runs: ResumableRuns, notes: Path, **params: Any) -> Death:
    """Run in a child that is killed at its ``at``-th call; returns how that went."""
    return _die_at(at, when, runs, notes, params)


def die_at_call(pattern: str, when: When, runs: ResumableRuns, notes: Path, **params: Any) -> Death:
    """Run in a child that is killed at the first call like this."""
    return _die_at(pattern, when, runs, notes, params)


def _die_at(at: int | str, when: When, runs: ResumableRuns, notes: Path, params: dict[str, Any]) -> Death:
    runs.begin()
    child = _FORKS.Process(
        target=_deliver, args=(runs.config, runs.notes, at, when, notes, params, dict(os.environ)), daemon=True
    )
    child.start()
    child.join(_PATIENCE)
    if child.is_alive():
        child.kill()
        raise TimeoutError(f"the child hangs at call {notes.read_text()}")
    number, _, call = notes.read_text().partition(" ")
    return Death(child.exitcode == -signal.SIGKILL, call, int(number))


def _deliver(
    config: ClientConfig,
    run: Path,
    at: int | str,
    when: When,
    notes: Path,
    params: dict[str, Any],
    environment: dict[str, str],
) -> None:
    """The child: forked from a process that has no threads, for a fork takes their locks along."""
    os.environ.clear()
    os.environ.update(environment)
    killer = Killer(at, when, notes)
    killer.install()
    ResumableRuns(config, run).go_on(**params)
    killer.finished()
    os._exit(0)  # no exit handlers: threads that still wait have nothing to do


_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.preload"])
