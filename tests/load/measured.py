"""A run in a process of its own, as a worker gives each task one, and what it needed."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.transfer.meter import peak
from client_delivery.config.model import ClientConfig
from local.process import ROOT
from tests.support.runs import Runs

MIB = 1024**2


@dataclass(frozen=True)
class Measured:
    """One run."""

    state: str
    executed: list[str]
    seconds: float
    memory_before: int
    """The most that the process held when everything was imported and an idle run was over, bytes."""
    memory: int
    """The most that it held in the end, bytes."""


def run_measured(config: ClientConfig, drop: Callable[[], None]) -> Measured:
    """An idle run; then ``drop`` is called, and the run that is measured follows."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(config, dict(os.environ), there))
    process.start()
    there.close()
    try:
        here.recv()
        drop()
        here.send("dropped")
        measured: Measured = here.recv()
    finally:
        here.close()
        process.join()
    return measured


def _run(config: ClientConfig, environment: dict[str, str], pipe: Connection) -> None:
    os.environ |= environment
    logging.disable(logging.CRITICAL)
    runs = Runs(config)
    runs.run()
    pipe.send("idle")
    pipe.recv()
    before, began = peak("self"), time.monotonic()
    result = runs.run()
    pipe.send(Measured(result.state, result.executed, time.monotonic() - began, before, peak("self")))


def note(line: str) -> None:
    """For the report: .local/load.txt."""
    report = ROOT / ".local" / "load.txt"
    report.parent.mkdir(exist_ok=True)
    with report.open("a") as file:
        file.write(line + "\n")
