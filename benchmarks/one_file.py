"""How long one small file waits: from the trigger to its first byte, to its delivery, and to the end of its run.

Through a real scheduler on PostgreSQL, with Airflow's default loops; each task forks from the local executor, as it
does from Celery's worker on MWAA 3. The median of several runs, one after the other.

    python -m benchmarks.one_file
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.idle_run import cpu_seconds
from local.airflow import Airflow
from local.demo_clients import DemoClient, prepare_clients
from local.postgres import Postgres
from local.sample_files import SampleFile
from local.stack import Stack

CLIENT = "aurora_health"
IDLE = "meadow_dental"
RUNS = int(os.environ.get("RUNS", "5"))


@dataclass(frozen=True)
class Waited:
    """Seconds after the trigger, and CPU seconds."""

    first_byte: float
    delivered: float
    ended: float
    tasks: float
    """Task instances that had a process."""
    cpu: float
    """Of the scheduler and all tasks, by the whole run."""


def logged(airflow: Airflow, name: str, run_id: str) -> Iterator[tuple[float, dict[str, Any]]]:
    """The project's events in a run's task logs, with when they were written."""
    directory = airflow.directory / "logs" / f"dag_id={name}" / f"run_id={run_id}"
    for path in directory.rglob("*.log"):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if str(record.get("logger", "")).startswith("client_delivery.event."):
                yield datetime.fromisoformat(record["timestamp"]).timestamp(), json.loads(record["event"])


def one_file(airflow: Airflow, stack: Stack, client: DemoClient, number: int) -> Waited:
    """Deliver one file of its own content."""
    client.drop(stack, [SampleFile(f"measured {number}.csv", 10_000, number)])
    pid, name = airflow.pid("scheduler"), client.config.name
    before, triggered = cpu_seconds(pid), time.time()
    run_id = airflow.trigger(name)
    if airflow.finished_run(name, run_id) != "success":
        raise RuntimeError(run_id)
    time.sleep(1)  # for the last task's process to be counted
    cpu = cpu_seconds(pid) - before
    at = {event["event"]: moment for moment, event in logged(airflow, name, run_id)}
    ended = datetime.fromisoformat(airflow.dag_run(name, run_id)["end_date"]).timestamp()
    began = sum(task["start_date"] is not None and task["state"] == "success" for task in airflow.tasks(name, run_id))
    moments = (at["batch_started"], at["file_delivered"], ended)
    first_byte, delivered, end = (moment - triggered for moment in moments)
    return Waited(first_byte, delivered, end, began, cpu)


def idle(airflow: Airflow) -> float:
    """Seconds from the trigger to the end of a run that finds nothing."""
    triggered = time.time()
    run_id = airflow.trigger(IDLE)
    if airflow.finished_run(IDLE, run_id) != "success":
        raise RuntimeError(run_id)
    return datetime.fromisoformat(airflow.dag_run(IDLE, run_id)["end_date"]).timestamp() - triggered


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    with Stack(directory / "stack") as stack:
        configs = directory / "client_configs"
        clients = {client.config.name: client for client in prepare_clients(stack, configs, otherwise=None)}
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        }
        with Postgres() as database, Airflow(directory / "airflow", environment, database=database.url) as airflow:
            airflow.wait_until(lambda: len(airflow.dags()) == len(clients), "the DAGs are there", seconds=120)
            one_file(airflow, stack, clients[CLIENT], 0)
            runs = []
            for number in range(1, RUNS + 1):
                runs.append(one_file(airflow, stack, clients[CLIENT], number))
                print(runs[-1], file=sys.stderr, flush=True)
            idles = [idle(airflow) for _ in range(RUNS)]
    median = [statistics.median(values) for values in zip(*map(astuple, runs), strict=True)]
    print(
        f"one small file, median of {RUNS} runs: first byte after {median[0]:.1f} s, delivered {median[1]:.1f} s, run "
        f"over {median[2]:.1f} s; {median[3]:.0f} task instances, {median[4]:.1f} CPU s"
    )
    print(f"nothing to do: run over after {statistics.median(idles):.1f} s")


if __name__ == "__main__":
    main()
