"""One real Airflow on PostgreSQL, as MWAA has it, for all system tests; on stand-ins of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from local.airflow import Airflow
from local.demo_clients import DemoClient, prepare_clients
from local.postgres import Postgres
from local.stack import Stack


@dataclass(frozen=True)
class System:
    """The whole product, running."""

    stack: Stack
    airflow: Airflow
    clients: dict[str, DemoClient]
    configs: Path
    database: Postgres

    def rewrite(self, name: str, **fields: object) -> None:
        """Edit a client's YAML, as DEXTR would."""
        path = self.configs / f"{name}.yaml"
        content = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(content | fields, sort_keys=False))


@pytest.fixture(scope="package")
def system(tmp_path_factory) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("system")
    with Stack(directory / "stack") as stack:
        configs = directory / "client_configs"
        # Runs are triggered by the tests, so that each knows its own; one client is left to the scheduler.
        clients = prepare_clients(stack, configs, schedules={"summit_mutual": "* * * * *"}, otherwise=None)
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
            "AIRFLOW__DELIVERY__RETRY_DELAY": "1",
            "AIRFLOW__DELIVERY__OFFLOAD_THRESHOLD": str(20 * 1024**2),
        }
        with Postgres() as database, Airflow(directory / "airflow", environment, database=database.url) as airflow:
            airflow.wait_until(lambda: len(airflow.dags()) == len(clients), "every client has its DAG", seconds=120)
            yield System(stack, airflow, {client.config.name: client for client in clients}, configs, database)
