"""What a run's first task needs where very many files wait in one pick-up: memory, seconds, requests.

Each measurement is a process of its own, with the product's tasks in it. S3 and DynamoDB are stood in for at the edge
of our code (:mod:`tests.support.many_waiting`), so neither the network nor botocore is in the seconds; the requests are
counted, and their time is to be added.

    python -m benchmarks.many_waiting [FILES …]
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.transfer.meter import peak
from client_delivery.config.model import ClientConfig

FILES = (1_000_000,)
MIB = 1024**2
TABLE = "client-file-ledger"
SCENES: dict[str, dict[str, Any]] = {
    "new": {},
    "new, known to S3 by CRC32 only": {"checksum": "CRC32"},
    "sent before, kept": {"known": "success"},
    "left by a run that died": {"known": "processing", "open": True},
    "failed before": {"known": "fail"},
}
_TASK = "register_files"


@dataclass(frozen=True)
class Figures:
    """One task with so many files."""

    state: str
    seconds: float
    cpu: float
    before: int
    """The most that the process held when everything was imported and the task had found nothing, bytes."""
    peak: int
    calls: dict[str, int]
    written: dict[str, int]
    contents: int


def client(**changes: Any) -> ClientConfig:
    """A client that keeps what it delivers, so that it can wait."""
    fields: dict[str, Any] = {
        "name": "acme",
        "client_h_number": "H1234",
        "contacts": ["data@example.com"],
        "send_notifications": False,
        "pickup": {"bucket": "pickup", "prefix": "acme/"},
        "destination": {"type": "s3", "bucket": "landing", "prefix": "acme/"},
        "bypass_file_checks": False,
        "trigger_on_done_file": False,
        "after_delivery": "keep",
    }
    return ClientConfig.model_validate(fields | changes)


def measure(files: int, scene: dict[str, Any]) -> Figures:
    """In a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_measure, args=(files, scene, there))
    process.start()
    there.close()
    try:
        found: Figures = here.recv()
    finally:
        here.close()
        process.join()
    return found


def _measure(files: int, scene: dict[str, Any], pipe: Connection) -> None:
    from tests.support.many_waiting import Waiting, none, standing_in
    from tests.support.runs import Runs

    os.environ["AIRFLOW__DELIVERY__LEDGER_TABLE"] = TABLE
    os.environ.setdefault("AIRFLOW__DELIVERY__MAIL_SENDER", "deliveries@example.org")
    logging.disable(logging.CRITICAL)
    runs = Runs(client())
    waiting = Waiting(runs.config, files, **scene)
    with standing_in(none(waiting), TABLE):
        runs.only(_TASK)
    before = peak("self")
    began, cpu = time.monotonic(), time.process_time()
    with standing_in(waiting, TABLE) as (s3, dynamodb):
        result = runs.only(_TASK)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    highest = peak("self")
    state = result.states[_TASK] + "".join(f": {error}"[:200] for error in result.errors.values())
    calls = {**s3.calls, **dynamodb.calls}
    pipe.send(Figures(state, seconds, cpu, before, highest, calls, dict(dynamodb.written), waiting.contents))


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or FILES
    for files in sizes:
        for name, scene in SCENES.items():
            found = measure(files, scene)
            calls = ", ".join(f"{count:,} {call}" for call, count in sorted(found.calls.items()))
            print(
                f"{files:,} files, {name}: {found.seconds:.0f} s ({found.cpu:.0f} CPU), "
                f"peak {found.peak / MIB:.0f} MiB (before: {found.before / MIB:.0f}), {calls}; "
                f"{found.written}; {found.state}",
                flush=True,
            )


if __name__ == "__main__":
    main()
