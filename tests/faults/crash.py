"""Crashes at every call: a child process runs a delivery, counts the external calls it makes, and kills itself at one.

The child is a fork, and the kill a real SIGKILL: nothing is cleaned up, no ``finally`` runs. ``before`` a call it has
not reached the service; ``after`` it the service has carried it out, and the answer is lost with the process.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import botocore.httpsession

from delivery.config.model import ClientConfig
from delivery.transfer.http.connection import Connection
from delivery.transfer.sftp.channel import SftpChannel
from tests.support.runs import RunResult, Runs

When = Literal["before", "after"]
_PATIENCE = 120.0


@dataclass(frozen=True)
class Death:
    """How the child ended."""

    killed: bool
    """False: it came to its end before that many calls."""
    call: str
    """The call at which it was killed."""
    calls: int


class Killer:
    """Counts the process's external calls and ends it at the ``at``-th, or at the first that ``at`` matches."""

    def __init__(self, at: int | str, when: When, notes: Path) -> None:
        self._at = at
        self._when = when
        self._notes = notes
        self._count = 0
        self._lock = threading.Lock()

    def around(self, name: str, call: Callable[[], Any], wait: Callable[[Any], None] = lambda _: None) -> Any:
        """Make one call, if this is not its end; ``wait`` waits until the service has carried it out."""
        with self._lock:
            self._count += 1
            mine = self._count == self._at if isinstance(self._at, int) else bool(re.search(self._at, name))
            if mine:
                self._notes.write_text(f"{self._count} {name[:120]}")
        if mine and self._when == "before":
            _die()
        answer = call()
        if mine:
            wait(answer)
            _die()
        return answer

    def finished(self) -> None:
        """The run came to its end."""
        self._notes.write_text(f"{self._count} end")

    def install(self) -> None:
        """Stand between this process and everything outside of it."""
        send, exchange = botocore.httpsession.URLLib3Session.send, Connection.exchange
        ask, ask_together = SftpChannel.ask, SftpChannel.ask_together

        def aws(session: Any, request: Any) -> Any:
            target = request.headers.get("X-Amz-Target", b"")
            name = target.decode() if isinstance(target, bytes) else str(target)
            return self.around(f"aws {request.method} {name or request.url}", lambda: send(session, request))

        def http(connection: Any, request: Any, target: str) -> Any:
            return self.around(f"http {request.method} {target}", lambda: exchange(connection, request, target))

        def sftp(channel: Any, kind: int, payload: bytes, data: Any = b"") -> int:
            request: int = self.around(
                f"sftp {kind}", lambda: ask(channel, kind, payload, data), lambda request: _answered(channel, [request])
            )
            return request

        def sftp_together(channel: Any, requests: Any) -> list[int]:
            asked: list[int] = self.around(
                f"sftp {'+'.join(str(one[0]) for one in requests)}",
                lambda: ask_together(channel, requests),
                lambda asked: _answered(channel, asked),
            )
            return asked

        botocore.httpsession.URLLib3Session.send = aws
        Connection.exchange = http  # type: ignore[method-assign]
        SftpChannel.ask = sftp  # type: ignore[method-assign]
        SftpChannel.ask_together = sftp_together  # type: ignore[method-assign]


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
            return result.returned.get(name)
        value = super()._task(result, name, params, task)
        self._note(result)
        return value

    def _note(self, result: RunResult) -> None:
        kept = RunResult(
            result.run_id, result.generation, dict(result.states), {}, {}, result.batches, dict(result.returned)
        )
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


def _answered(channel: Any, requests: list[int]) -> None:
    for request in requests:
        channel.answer(request)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way
