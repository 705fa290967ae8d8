"""R7: other DAGs go on with what was delivered, by Airflow's assets, through a real scheduler on PostgreSQL."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from local.airflow import ROOT, Airflow
from local.demo_clients import EXAMPLES, prepare_clients
from local.postgres import Postgres
from local.sample_files import SampleFile
from local.stack import Stack
from local.wait import wait_until
from tests.system.conftest import System
from tests.system.test_scheduler import deliver

# An Airflow of its own, for another DAG is in it, and the setting is another.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GOOD, FAILING = "pinnacle_plan", "meadow_dental"
FILES = [SampleFile("claims.csv", 5_000, 1), SampleFile("empty.csv", 0, 0)]
_NEXT = f"""# As docs/operators/events.md says.
from airflow.sdk import DAG, Asset, task

ASSET = Asset("delivered/{GOOD}")
with DAG("goes_on", schedule=[ASSET], allowed_run_types=["asset_triggered", "manual"]):

    @task
    def load(triggering_asset_events):
        return [event.extra["files"] for event in triggering_asset_events[ASSET]]

    load()
"""


@pytest.fixture
def told(tmp_path) -> Iterator[System]:
    """A system whose deliveries are told of, with a DAG that goes on with one client's."""
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(ROOT / "dags" / "client_deliveries.py", dags)
    (dags / "goes_on.py").write_text(_NEXT)
    with Stack(tmp_path / "stack") as stack:
        configs: Path = tmp_path / "client_configs"
        destination = yaml.safe_load((EXAMPLES / f"{FAILING}.yaml").read_text())["destination"]
        edits = {FAILING: {"destination": {**destination, "bucket": "no-such-bucket"}}}
        prepared = prepare_clients(stack, configs, otherwise=None, edits=edits)
        clients = {client.config.name: client for client in prepared}
        environment = stack.environment() | {
            "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
            "AIRFLOW__DELIVERY__RETRY_DELAY": "1",
            "AIRFLOW__DELIVERY__ASSET_EVENTS": "true",
            # The scheduler sets assets inactive that no DAG names, once a minute unless told otherwise.
            "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
        }
        with (
            Postgres() as database,
            Airflow(tmp_path / "airflow", environment, database=database.url, dags=dags) as airflow,
        ):
            known = {*clients, "goes_on"}
            airflow.wait_until(lambda: airflow.dags().keys() == known, "the DAGs are there", seconds=120)
            yield System(stack, airflow, clients, configs, database)


def test_r7_a_dag_goes_on_where_files_arrived_and_nowhere_else(told):
    airflow, config = told.airflow, told.clients[GOOD].config
    assets = {one["name"]: one for one in airflow.all("/assets", "assets")}
    for side, name in [
        ("consuming_tasks", f"s3://{config.pickup.bucket}/{config.pickup.prefix}"),
        ("producing_tasks", f"delivered/{GOOD}"),
        ("producing_tasks", config.destination.uri),
    ]:
        assert (GOOD, "announce") in {(one["dag_id"], one["task_id"]) for one in assets[name][side]}, name

    failed_run, state = deliver(told, FAILING, FILES)
    assert state == "failed"
    idle_run = airflow.trigger(GOOD)
    assert airflow.finished_run(GOOD, idle_run) == "success"
    assert {
        run: state
        for name, run in ((FAILING, failed_run), (GOOD, idle_run))
        for state in [task["state"] for task in airflow.tasks(name, run) if task["task_id"] == "announce"]
    } == {failed_run: "success", idle_run: "skipped"}
    assert airflow.asset_events() == []

    run_id, state = deliver(told, GOOD, FILES)
    assert state == "success"
    events = {one["name"]: one for one in airflow.asset_events()}
    assert len(airflow.asset_events()) == len(events) == 2
    assert events.keys() == {f"delivered/{GOOD}", config.destination.uri}
    for event in events.values():
        assert (event["extra"]["files"], event["extra"]["bytes"]) == (len(FILES), 5_000)
        assert event["extra"]["run"] == f"{GOOD}/{run_id}/0"
        assert event["source_task_id"] == "announce"

    (following,) = wait_until(lambda: airflow.all("/dags/goes_on/dagRuns", "dag_runs"), "the next DAG runs", seconds=60)
    assert airflow.finished_run("goes_on", following["dag_run_id"]) == "success"
    value = f"/dags/goes_on/dagRuns/{following['dag_run_id']}/taskInstances/load/xcomEntries/return_value"
    assert json.loads(airflow.api("GET", value, params={"stringify": True})["value"]) == [len(FILES)]
    assert airflow.all("/dagWarnings", "dag_warnings") == [], "no asset is in conflict with another"
