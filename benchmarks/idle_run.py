"""What a run with nothing to do costs: task instances, and CPU seconds of the scheduler's whole process tree.

What the scheduler spends in the same time without runs is taken off. Airflow's local executor forks its tasks, as
Celery's does on MWAA 3; a new interpreter would pay for importing Airflow on top (see :mod:`benchmarks.dag_parsing`).

    python -m benchmarks.idle_run
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from local.airflow import Airflow
from local.demo_clients import prepare_clients
from local.stack import Stack

RUNS = 8
CLIENT = "aurora_health"


def cpu_seconds(root: int) -> float:
    """User and system time of a process, of all below it, and of those of them that have ended (Linux)."""
    parents, times = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        pid = int(path.parent.name)
        parents[pid], times[pid] = int(fields[1]), sum(int(field) for field in fields[11:15])

    def below(pid: int) -> bool:
        while pid > 1:
            if pid == root:
                return True
            pid = parents.get(pid, 0)
        return False

    return sum(time for pid, time in times.items() if below(pid)) / os.sysconf("SC_CLK_TCK")


def measure(airflow: Airflow) -> tuple[float, int]:
    """CPU seconds and task instances of one idle run, on average."""
    pid = airflow.pid("scheduler")
    executed = 0
    airflow.finished_run(CLIENT, airflow.trigger(CLIENT))
    started, before = time.monotonic(), cpu_seconds(pid)
    for _ in range(RUNS):
        run_id = airflow.trigger(CLIENT)
        if airflow.finished_run(CLIENT, run_id) != "success":
            raise RuntimeError(run_id)
        executed += sum(task["state"] == "success" for task in airflow.tasks(CLIENT, run_id))
    spent, wall = cpu_seconds(pid) - before, time.monotonic() - started
    before = cpu_seconds(pid)
    time.sleep(wall)
    idle = cpu_seconds(pid) - before
    return (spent - idle) / RUNS, executed // RUNS


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    with Stack(directory / "stack") as stack:
        configs = directory / "client_configs"
        prepare_clients(stack, configs, otherwise=None)
        environment = stack.environment() | {"AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs)}
        with Airflow(directory / "airflow", environment) as airflow:
            airflow.wait_until(lambda: CLIENT in airflow.dags(), "the DAG is there", seconds=120)
            seconds, tasks = measure(airflow)
    print(f"{tasks} task instances, {seconds:.2f} CPU s per idle run, {seconds / tasks:.2f} per task instance")


if __name__ == "__main__":
    main()
