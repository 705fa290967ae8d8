"""The environment's settings."""

from __future__ import annotations

import pytest

from delivery.settings import Settings, SettingsError


def test_only_the_ledger_table_must_be_set():
    settings = Settings.from_environment({"AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger"})
    assert settings.ledger_table == "ledger"
    assert settings.offload_threshold == 10 * 1024**3
    assert settings.offload is None
    assert settings.gcs_endpoint == "https://storage.googleapis.com"


def test_a_missing_ledger_table_says_what_to_set():
    with pytest.raises(SettingsError, match=r"AIRFLOW__DELIVERY__LEDGER_TABLE is not set.*delivery\.ledger_table"):
        Settings.from_environment({})


def test_a_wrong_number_is_named():
    environment = {"AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger", "AIRFLOW__DELIVERY__OFFLOAD_THRESHOLD": "10 GB"}
    with pytest.raises(SettingsError, match=r"AIRFLOW__DELIVERY__OFFLOAD_THRESHOLD: found '10 GB', expected a number"):
        Settings.from_environment(environment)


def test_r6_1_a_threshold_is_bytes():
    environment = {"AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger", "AIRFLOW__DELIVERY__OFFLOAD_THRESHOLD": "10737418240"}
    assert Settings.from_environment(environment).offload_threshold == 10 * 1024**3


def test_r6_1_containers_need_a_cluster_and_a_task_definition():
    environment = {
        "AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger",
        "AIRFLOW__DELIVERY__ECS_CLUSTER": "transfers",
        "AIRFLOW__DELIVERY__ECS_TASK_DEFINITION": "transfer",
        "AIRFLOW__DELIVERY__ECS_SUBNETS": "subnet-a, subnet-b",
        "AIRFLOW__DELIVERY__ECS_SPOT": "true",
    }
    offload = Settings.from_environment(environment).offload
    assert offload is not None
    assert (offload.cluster, offload.subnets, offload.security_groups, offload.spot) == (
        "transfers",
        ("subnet-a", "subnet-b"),
        (),
        True,
    )
    del environment["AIRFLOW__DELIVERY__ECS_TASK_DEFINITION"]
    assert Settings.from_environment(environment).offload is None
