"""A release with another DAG is deployed while runs of the older one are under way (R4.7, decision 0034)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from client_delivery.ledger.table import Ledger
from local.airflow import Airflow
from local.demo_clients import prepare_clients, recipient_files
from local.postgres import Postgres
from local.sample_files import SampleFile
from local.stack import Stack
from local.stand_ins import LEDGER_TABLE
from local.wait import wait_until

# An Airflow of its own, for the DAG file is another.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_DAG_FILE = """# Airflow looks only into files that name it and a DAG.
import os
from pathlib import Path
from client_delivery.dag import deliveries
from tests.support.older_dag import older_dags

HERE = Path(__file__).parent
older = HERE / "older"
for dag in older_dags(HERE, float(older.read_text())) if older.exists() else deliveries(HERE):
    globals()[dag.dag_id] = dag
"""


def test_r4_7_runs_of_the_older_dag_end_well(tmp_path):
    """One has its transfer under way, another is still at its health check; both deliver once and are closed."""
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "client_deliveries.py").write_text(_DAG_FILE)
    switch = dags / "older"
    switch.write_text("0")
    with Stack(tmp_path / "stack") as stack:
        configs = tmp_path / "client_configs"
        clients = {client.config.name: client for client in prepare_clients(stack, configs, otherwise=None)}
        environment = stack.environment() | {"AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs)}
        with (
            Postgres() as database,
            Airflow(tmp_path / "airflow", environment, database=database.url, dags=dags) as airflow,
        ):

            def tasks(name: str, run_id: str) -> dict[str, str]:
                return {task["task_id"]: task["state"] for task in airflow.tasks(name, run_id)}

            def knows(task_id: str) -> bool:
                found = airflow.api("GET", "/dags/pinnacle_plan/tasks")["tasks"]
                return task_id in {task["task_id"] for task in found}

            airflow.wait_until(lambda: len(airflow.dags()) == len(clients), "the DAGs are there", seconds=120)
            wait_until(lambda: knows("settle"), "they are the older ones", seconds=60)
            file = SampleFile("claims.csv", 5_000, 1)
            slow = {"call": r"s3\.(GetObject|CopyObject)", "path": file.name, "delay": 25, "times": 1}
            httpx.post(f"{stack.aws_url}/_local/faults", json=[slow], timeout=10).raise_for_status()
            names = ("aurora_health", "pinnacle_plan")
            for name in names:
                clients[name].drop(stack, [file])
            sending = airflow.trigger("aurora_health")
            wait_until(
                lambda: tasks("aurora_health", sending).get("transfer_batch") == "running", "it sends", seconds=120
            )
            switch.write_text("60")
            begun = airflow.trigger("pinnacle_plan")
            wait_until(
                lambda: tasks("pinnacle_plan", begun).get("health_check") == "running", "it has begun", seconds=120
            )
            Path(switch).unlink()
            wait_until(lambda: not knows("settle"), "the new DAG is there", seconds=120)
            for name, run_id in (("aurora_health", sending), ("pinnacle_plan", begun)):
                assert airflow.finished_run(name, run_id) == "success"
                found = tasks(name, run_id)
                assert {found[task] for task in ("settle", "deactivate")} == {"removed"}, found
                assert {found[task] for task in ("register_files", "transfer_batch", "report")} == {"success"}, found
                config = clients[name].config
                assert recipient_files(stack, config)[file.name][0] == file.content()
                assert Ledger(stack.client("dynamodb"), LEDGER_TABLE, config.delivery_key).open_entries() == []
                subjects = [mail.subject for mail in stack.mailbox.messages()]
                told = [said.partition("] ")[2] for said in subjects if f"[{config.delivery_key}]" in said]
                assert told == ["Job started: 1 file", "Job finished: 1 delivered"]
            assert tasks("pinnacle_plan", begun)["health_check"] == "removed"
