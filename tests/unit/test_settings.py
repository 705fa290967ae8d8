"""The environment's settings."""

from __future__ import annotations

import pytest

from delivery.settings import Settings, SettingsError


def test_only_the_ledger_table_must_be_set():
    settings = Settings.from_environment({"AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger"})
    assert settings.ledger_table == "ledger"
    assert settings.offload_threshold is None
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
