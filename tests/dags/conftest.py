"""The settings of an environment in which nothing is wrong."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def settings_of_an_environment():
    """Without them the DAG that tells of wrong settings would be among the clients'."""
    os.environ.setdefault("AIRFLOW__DELIVERY__LEDGER_TABLE", "ledger")
