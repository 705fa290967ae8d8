"""What is wrong with the environment's settings is one red DAG, and every client's DAG is there all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from client_delivery.building.upkeep import SETTINGS_DAG
from client_delivery.dag import deliveries

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = sorted(path.stem for path in (ROOT / "include" / "client_configs").glob("*.yaml"))


def dags():
    return {dag.dag_id: dag for dag in deliveries(ROOT / "dags")}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RETRY_DELAY", "1m", "RETRY_DELAY: found '1m', expected a number of seconds"),
        ("CONFIGS_DIRECTORY", "/nowhere", "CONFIGS_DIRECTORY: found '/nowhere', expected a directory that exists"),
        ("WORKER_BATCHES", "0.5", "WORKER_BATCHES: found '0.5', expected a whole number"),
        ("ECS_SPOT", "yes", "ECS_SPOT: found 'yes', expected true or false"),
        ("ECS_CLUSTER", "transfers", "ECS_TASK_DEFINITION is not set"),
        ("RETRY_DELAI", "60", "RETRY_DELAI: there is no such setting. Did you mean AIRFLOW__DELIVERY__RETRY_DELAY?"),
    ],
)
def test_a_slip_in_a_setting_takes_no_client_down_and_is_told_in_one_place(monkeypatch, name, value, said):
    monkeypatch.setenv(f"AIRFLOW__DELIVERY__{name}", value)
    found = dags()
    assert sorted(found) == sorted([*CLIENTS, SETTINGS_DAG])
    told = found[SETTINGS_DAG]
    assert told.tags == {"config-error"}
    (task,) = told.tasks
    with pytest.raises(AirflowFailException) as raised:
        task.execute({})
    assert f"AIRFLOW__DELIVERY__{said}" in str(raised.value)
    assert "client" not in str(raised.value), "it is no client's file that is wrong"


def test_all_slips_are_told_at_once(monkeypatch):
    monkeypatch.setenv("AIRFLOW__DELIVERY__RETRY_DELAY", "1m")
    monkeypatch.setenv("AIRFLOW__DELIVERY__ECS_SPOT", "yes")
    page = dags()[SETTINGS_DAG].doc_md
    assert page.count("expected") == 2


def test_a_missing_table_is_told_too(monkeypatch):
    monkeypatch.delenv("AIRFLOW__DELIVERY__LEDGER_TABLE")
    assert SETTINGS_DAG in dags()


def test_where_nothing_is_wrong_there_is_no_such_dag():
    assert sorted(dags()) == CLIENTS


def test_no_client_can_have_its_name():
    from pydantic import TypeAdapter, ValidationError

    from client_delivery.config.names import ConfigName

    with pytest.raises(ValidationError):
        TypeAdapter(ConfigName).validate_python(SETTINGS_DAG)
