"""A headless Chromium, and an Airflow that asks for a password, on stand-ins of its own."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from local.airflow import Airflow
from local.demo_clients import DemoClient, prepare_clients
from local.postgres import Postgres
from local.process import ROOT
from local.stack import Stack
from tests.browser.page import Page

SCREENSHOTS = ROOT / ".local" / "screenshots"


def _program(*names: str) -> str:
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(
            f"{names[0]} is not installed (Debian: apt install chromium chromium-driver): the UI is not clicked"
        )
    return found


@pytest.fixture(scope="package")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,1050"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver")))
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    yield Page(driver, SCREENSHOTS)
    driver.quit()


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    # A short path that says nothing of this machine: it is to be seen in the pictures of logs.
    with TemporaryDirectory(prefix="airflow-") as directory, Stack(Path(directory) / "stack") as stack:
        yield stack


@pytest.fixture(scope="package")
def clients(stack: Stack) -> dict[str, DemoClient]:
    clients = prepare_clients(
        stack, stack.directory / "client_configs", otherwise=None, schedules=_SELDOM, edits=_edits()
    )
    return {client.config.name: client for client in clients}


_SELDOM = {"meadow_dental": "0 0 1 1 *"}
"""What is expected is looked for by a clock: one that does not strike in a test."""


def _edits() -> dict[str, dict[str, Any]]:
    """A client with everything that makes people look: a guard, a line that is expected, a window that is closed."""
    hour = (datetime.now(UTC).hour + 2) % 22
    fields = {
        "bypass_file_checks": False,
        "guards": {"not_empty": True},
        "expected": [{"files": "elig_*.csv", "by": "yearly, day 1, 00:00"}],
        "window": {"from": f"{hour:02}:00", "to": f"{hour + 1:02}:00"},
    }
    return {"meadow_dental": fields}


@pytest.fixture(scope="package")
def airflow(page: Page, stack: Stack, clients: dict[str, DemoClient]) -> Iterator[Airflow]:
    environment = stack.environment() | {
        "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(stack.directory / "client_configs"),
        "AIRFLOW__DELIVERY__RETRY_DELAY": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,olga:op,victor:viewer",
    }
    directory, dags = stack.directory / "airflow", stack.directory / "dags"
    shutil.copytree(ROOT / "dags", dags)
    password = secrets.token_urlsafe(12)
    with (
        Postgres() as database,
        Airflow(directory, environment, password=password, database=database.url, dags=dags, patience=600) as airflow,
    ):
        airflow.wait_until(lambda: len(airflow.dags()) == len(clients), "every client has its DAG", seconds=120)
        yield airflow
