"""Many clients with nothing to send: what Airflow's parts need by the minute, and whether runs keep their times (R4.1).

Through a real scheduler on PostgreSQL that runs as many tasks at once as there is room for. The clients keep the
default schedule, so they are spread over the quarter of an hour by their names. Each task forks from the local
executor, as it does from Celery's worker on MWAA 3, so the scheduler's figure is the workers' too.

    make measure-clients CLIENTS=1000 MINUTES=60
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.idle_run import cpu_seconds
from benchmarks.many_clients import write_configurations
from local.airflow import Airflow
from local.postgres import Postgres
from local.stack import Stack

CLIENTS = int(os.environ.get("CLIENTS", "200"))
MINUTES = int(os.environ.get("MINUTES", "20"))
SLOTS = os.environ.get("SLOTS", "4")
PARTS = ("scheduler", "dag-processor", "api-server", "triggerer")


@dataclass(frozen=True)
class Minute:
    """What one minute took."""

    cpu: dict[str, float]
    """CPU seconds of each of Airflow's parts, all its processes; ``postgres`` and ``services`` for the rest."""
    load: float


def watch(airflow: Airflow, pids: dict[str, int]) -> list[Minute]:
    """So many minutes, one after the other."""
    minutes = []
    before, next_at = {part: cpu_seconds(pid) for part, pid in pids.items()}, time.monotonic()
    for _ in range(MINUTES):
        next_at += 60
        time.sleep(max(0.0, next_at - time.monotonic()))
        airflow.check_alive()
        now = {part: cpu_seconds(pid) for part, pid in pids.items()}
        minutes.append(Minute({part: now[part] - before[part] for part in pids}, os.getloadavg()[0]))
        print(
            f"{len(minutes):3} min  "
            + "  ".join(f"{part} {spent:5.1f}" for part, spent in minutes[-1].cpu.items())
            + f"  load {minutes[-1].load:.1f}",
            flush=True,
        )
        before = now
    return minutes


def lateness(runs: list[dict[str, Any]], since: datetime, until: datetime) -> tuple[Counter[str], list[float]]:
    """States of the runs that were due in this time, and how many seconds after it each was over."""
    due = [run for run in runs if since <= datetime.fromisoformat(run["run_after"]) < until]
    waited = [
        (datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["run_after"])).total_seconds()
        for run in due
        if run["end_date"]
    ]
    return Counter(run["state"] for run in due), sorted(waited)


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    with Stack(directory / "stack") as stack:
        configs = directory / "client_configs"
        # With the default schedule; their pick-ups stay empty.
        write_configurations(configs, CLIENTS, send_notifications=False)
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
            "AIRFLOW__CORE__PARALLELISM": SLOTS,
            # What MWAA has: its default of the one, Airflow's of the others.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "5",
        }
        with Postgres() as database, Airflow(directory / "airflow", environment, database=database.url) as airflow:
            began = time.monotonic()
            airflow.wait_until(lambda: len(airflow.dags()) == CLIENTS, "the DAGs are there", seconds=900)
            print(f"{CLIENTS} DAGs after {time.monotonic() - began:.0f} s", flush=True)
            pids = {part: airflow.pid(part) for part in PARTS} | {"postgres": database.pid}
            since = datetime.now(UTC)
            minutes = watch(airflow, pids)
            # Whoever was due in the last minutes may still be under way: they are not late yet.
            until = datetime.now(UTC) - timedelta(minutes=2)
            runs = airflow.all("/dags/~/dagRuns", "dag_runs", run_after_gte=since.isoformat())
            requests = Counter(httpx.get(f"{stack.aws_url}/_local/requests", timeout=60).json())
    states, waited = lateness(runs, since, until)
    mean = {part: statistics.mean(minute.cpu[part] for minute in minutes) for part in minutes[0].cpu}
    runs_a_minute = sum(states.values()) / ((until - since).total_seconds() / 60)
    print(f"{CLIENTS} idle clients, {MINUTES} min, {SLOTS} slots: {runs_a_minute:.1f} runs a minute, {dict(states)}")
    print("CPU seconds a minute: " + ", ".join(f"{part} {spent:.1f}" for part, spent in mean.items()))
    if waited:
        p95 = waited[int(0.95 * len(waited))]
        print(f"over after: median {statistics.median(waited):.1f} s, p95 {p95:.1f} s, longest {waited[-1]:.1f} s")
    print("requests to AWS: " + ", ".join(f"{call} {count}" for call, count in sorted(requests.items())))


if __name__ == "__main__":
    main()
