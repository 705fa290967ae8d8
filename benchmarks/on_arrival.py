"""How long a small file waits where a run starts on arrival: from its drop to its delivery, over many drops.

Through a real scheduler and triggerer on PostgreSQL, with Airflow's default loops and the default of the setting
``arrival_seconds``; three clients, whose drops come at random moments. And what a look costs that finds nothing: CPU
and memory of the process that looks.

    python -m benchmarks.on_arrival
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.one_file import logged
from client_delivery.config.model import ClientConfig
from client_delivery.run.watching import Watch
from client_delivery.runtime.settings import Settings
from local.airflow import Airflow
from local.demo_clients import DemoClient, prepare_clients
from local.postgres import Postgres
from local.sample_files import SampleFile
from local.stack import Stack

CLIENTS = ("aurora_health", "meadow_dental", "pinnacle_plan")
DROPS = int(os.environ.get("DROPS", "7"))
"""Of each client."""
_EDIT = {"trigger": "on_arrival", "schedule": "0 0 1 1 *", "trigger_on_done_file": False}
_WATCHED = 1000


@dataclass(frozen=True)
class Waited:
    """Seconds after the drop."""

    begun: float
    """Until the run was there."""
    delivered: float


def drops(airflow: Airflow, stack: Stack, client: DemoClient) -> list[Waited]:
    """Drop one file after the other, each at a random moment after the run before has ended.

    The first of each client only warms up: the triggerer's first look imports what it needs.
    """
    moments = random.Random(client.config.name)
    name, waited, known = client.config.name, [], 0
    for number in range(DROPS + 1):
        time.sleep(moments.uniform(0, 45))
        client.drop(stack, [SampleFile(f"arrival {number}.csv", 10_000, number)])
        dropped = time.time()

        def over(known: int = known) -> bool:
            runs = airflow.all(f"/dags/{name}/dagRuns", "dag_runs")
            return len(runs) > known and all(run["state"] in ("success", "failed") for run in runs)

        airflow.wait_until(over, f"the run of {name}", seconds=300)
        runs = sorted(airflow.all(f"/dags/{name}/dagRuns", "dag_runs"), key=lambda run: str(run["run_after"]))
        if len(runs) != known + 1 or runs[-1]["state"] != "success":
            raise RuntimeError(f"{name}: {[(run['dag_run_id'], run['state']) for run in runs[known:]]}")
        known = len(runs)
        at = {event["event"]: moment for moment, event in logged(airflow, name, runs[-1]["dag_run_id"])}
        begun = datetime.fromisoformat(runs[-1]["queued_at"]).timestamp()
        waited.append(Waited(begun - dropped, at["file_delivered"] - dropped))
        print(name, waited[-1], file=sys.stderr, flush=True)
    return waited[1:]


def looks(config: ClientConfig) -> tuple[float, float]:
    """CPU milliseconds of a look at an empty pick-up, and KiB that each of many watched clients takes."""
    watch = Watch(config)
    watch.look()
    began = time.process_time()
    for _ in range(200):
        watch.look()
    cpu = (time.process_time() - began) / 200 * 1000
    before = resident()
    many = [Watch(ClientConfig.model_validate(config.model_dump(mode="json"))) for _ in range(_WATCHED)]
    return cpu, (resident() - before) / len(many) / 1024


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    with Stack(directory / "stack") as stack:
        configs = directory / "client_configs"
        edits = dict.fromkeys(CLIENTS, _EDIT)
        clients = {
            client.config.name: client for client in prepare_clients(stack, configs, otherwise=None, edits=edits)
        }
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        }
        with Postgres() as database, Airflow(directory / "airflow", environment, database=database.url) as airflow:
            airflow.wait_until(lambda: len(airflow.dags()) == len(clients), "the DAGs are there", seconds=240)
            with ThreadPoolExecutor(len(CLIENTS)) as pool:
                found = pool.map(lambda name: drops(airflow, stack, clients[name]), CLIENTS)
                waited = [one for client in found for one in client]
        os.environ.update(
            {name: value for name, value in environment.items() if not name.endswith("CONFIGS_DIRECTORY")}
        )
        every = Settings.from_environment().arrival_seconds
        cpu, memory = looks(clients["summit_mutual"].config.model_copy(update={"trigger_on_done_file": False}))
    for what, values in (
        ("run there", [one.begun for one in waited]),
        ("delivered", [one.delivered for one in waited]),
        ("from there to delivered", [one.delivered - one.begun for one in waited]),
    ):
        print(
            f"on arrival, {len(values)} drops, a look every {every} s: {what} after {statistics.median(values):.1f} s, "
            f"95 % {p95(values):.1f} s, {max(values):.1f} s at most"
        )
    print(f"a look that finds nothing: {cpu:.1f} ms of CPU; a watched client: {memory:.0f} KiB")


if __name__ == "__main__":
    main()
