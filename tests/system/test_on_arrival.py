"""R4.1, R9.4: a run starts when a file arrives, and by a sparse schedule otherwise, through a real triggerer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from local.airflow import Airflow
from local.demo_clients import EXAMPLES, prepare_clients
from local.postgres import Postgres
from local.sample_files import SampleFile
from local.stack import Stack
from local.wait import wait_until
from tests.system.conftest import System
from tests.system.test_scheduler import ledger, received

# An Airflow of its own: the triggerer is restarted in the middle.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PLAIN, BY_DONE_FILE, FAILING = "pinnacle_plan", "summit_mutual", "meadow_dental"
_LOOK = 5
_ONCE_A_YEAR = "0 0 1 1 *"


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[System]:
    """A system in which three clients are watched, and no other run starts by itself."""
    directory = tmp_path_factory.mktemp("watched")
    with Stack(directory / "stack") as stack:
        configs = directory / "client_configs"
        destination = yaml.safe_load((EXAMPLES / f"{FAILING}.yaml").read_text())["destination"]
        on_arrival = {"trigger": "on_arrival", "schedule": _ONCE_A_YEAR}
        edits: dict[str, dict[str, Any]] = {name: dict(on_arrival) for name in (PLAIN, BY_DONE_FILE, FAILING)}
        edits[FAILING]["destination"] = {**destination, "bucket": "no-such-bucket"}
        clients = prepare_clients(stack, configs, otherwise=None, edits=edits)
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
            "AIRFLOW__DELIVERY__RETRY_DELAY": "1",
            "AIRFLOW__DELIVERY__ARRIVAL_SECONDS": str(_LOOK),
        }
        with Postgres() as database, Airflow(directory / "airflow", environment, database=database.url) as airflow:
            airflow.wait_until(lambda: len(airflow.dags()) == len(clients), "every client has its DAG", seconds=120)
            yield System(stack, airflow, {client.config.name: client for client in clients}, configs, database)


def runs_of(system: System, name: str) -> list[dict[str, Any]]:
    return system.airflow.all(f"/dags/{name}/dagRuns", "dag_runs")


def ended(system: System, name: str, number: int) -> list[str]:
    """How the runs ended, once there are so many of them and all have."""

    def all_over() -> bool:
        runs = runs_of(system, name)
        return len(runs) == number and all(run["state"] in ("success", "failed") for run in runs)

    wait_until(all_over, f"{number} runs of {name} are over", seconds=180)
    runs = runs_of(system, name)
    assert {run["run_type"] for run in runs} == {"asset_triggered"}
    return [str(run["state"]) for run in runs]


def looks(system: System, number: int) -> None:
    """Wait until each of the three pick-ups has been looked at so many more times: they have one interval."""

    def requests() -> int:
        counts = httpx.get(f"{system.stack.aws_url}/_local/requests", timeout=10).raise_for_status().json()
        return int(counts.get("s3.ListObjectsV2", 0)) + int(counts.get("s3.HeadObject", 0))

    wanted = requests() + 3 * (number + 1)
    wait_until(lambda: requests() >= wanted, "the pick-ups are looked at", seconds=120)


def drop(system: System, name: str, file: SampleFile) -> None:
    system.clients[name].drop(system.stack, [file])


def arrives(system: System, name: str, file: SampleFile) -> None:
    """Wait until the recipient has it. How long that takes is measured, not tested: by benchmarks/on_arrival.py."""
    client = system.clients[name]
    wait_until(lambda: received(system, client).get(file.name) == file.content(), f"{file.name} arrives", seconds=240)


def test_a_drop_starts_one_run_and_what_was_delivered_or_failed_starts_none(watched):
    file, failing = SampleFile("first.csv", 5_000, 1), SampleFile("held.csv", 100, 2)
    drop(watched, PLAIN, file)
    drop(watched, FAILING, failing)
    arrives(watched, PLAIN, file)
    assert ended(watched, PLAIN, 1) == ["success"]
    assert ended(watched, FAILING, 1) == ["failed"]
    # What was delivered waits for the next run to be removed, and what failed for a person.
    assert watched.clients[PLAIN].waiting(watched.stack)
    assert ledger(watched, FAILING).held_entries()
    watched.airflow.stop("triggerer", kill=True)
    second = SampleFile("second.csv", 5_000, 3)
    drop(watched, PLAIN, second)
    watched.airflow.start("triggerer")
    arrives(watched, PLAIN, second)
    assert ended(watched, PLAIN, 2) == ["success", "success"]
    looks(watched, 3)
    assert ended(watched, PLAIN, 2) == ["success", "success"]
    assert ended(watched, FAILING, 1) == ["failed"], "what is held starts no run"


def test_with_a_done_file_the_done_file_starts_it(watched):
    client, file = watched.clients[BY_DONE_FILE], SampleFile("members.csv", 5_000, 4)
    s3, pickup = watched.stack.client("s3"), client.config.pickup
    s3.put_object(Bucket=pickup.bucket, Key=pickup.prefix + file.name, Body=file.content())
    looks(watched, 2)
    assert runs_of(watched, BY_DONE_FILE) == []
    s3.put_object(Bucket=pickup.bucket, Key=client.config.done_file_key, Body=b"")
    arrives(watched, BY_DONE_FILE, file)
    assert ended(watched, BY_DONE_FILE, 1) == ["success"]
