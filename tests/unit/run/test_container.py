"""The container's order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client_delivery.config.model import ClientConfig
from client_delivery.container import main
from client_delivery.ledger.life import RunRef
from client_delivery.run.order import ORDER_VARIABLE, ORDER_VERSION, ExitCode, Order
from local.process import PYTHON_PATH

CONFIG = ClientConfig.model_validate(
    {
        "name": "acme",
        "client_h_number": "H1234",
        "contacts": ["data@example.com"],
        "send_notifications": True,
        "pickup": {"bucket": "example-pickup", "prefix": "acme/"},
        "destination": {"type": "gcs", "bucket": "example-gcs-landing", "connection_id": "acme"},
        "bypass_file_checks": False,
        "trigger_on_done_file": False,
    }
)
RICH = ClientConfig.model_validate_json(
    json.dumps(
        {
            "name": "acme_claims",
            "client_h_number": "H1234",
            "feed": "claims",
            "contacts": ["data@example.com", "jane.doe@example.org"],
            "send_notifications": True,
            "pickup": {"bucket": "example-pickup", "prefix": "acme/", "region": "us-east-1", "include": ["*.csv"]},
            "destination": {
                "type": "sftp",
                "host": "sftp.example.org",
                "username": "acme",
                "directory": "in",
                "connection_id": "acme",
                "host_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2FjR3rLvTS6vRSzEvF6sFlTqTb9ZYzYz0kCXgYzV3d"],
            },
            "bypass_file_checks": True,
            "trigger_on_done_file": False,
            "offload_threshold": "1 GiB",
        }
    )
)
SETTINGS = {"AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger"}


def test_an_order_survives_the_way_through_the_environment():
    order = Order(CONFIG, RunRef("manual__2026-01-01T00:00:00+00:00", 2), 7, remove_source=True)
    assert Order.from_json(order.to_json()) == order


SAMPLES = {version: (Path(__file__).parent / f"order_v{version}.json").read_text() for version in (1, 2)}
"""Frozen: what a worker of each version wrote of :data:`RICH`. Never to be edited; a new version gets a new file."""
RUN = RunRef("manual__2026-01-01T00:00:00+00:00", 2, "acme_claims")


@pytest.mark.parametrize("version", SAMPLES)
def test_an_order_of_an_earlier_version_is_understood(version):
    """A container is of the new release as soon as its task definition is; workers follow half an hour later."""
    order = Order.from_json(SAMPLES[version])
    assert order.owner.is_same_life(RUN)
    assert (order.config, order.batch, order.remove_source) == (RICH, 7, True)


def test_todays_order_is_what_a_container_of_this_version_was_built_for():
    """More fields are allowed, if such a container may ignore them; it refuses a configuration with unknown ones."""
    frozen = json.loads(SAMPLES[ORDER_VERSION])
    written = json.loads(Order(RICH, RUN, 7, remove_source=True).to_json())
    assert {name: written[name] for name in frozen} == frozen


def test_an_order_of_a_later_release_is_refused_with_what_to_do(capsys):
    order = json.dumps({**json.loads(SAMPLES[2]), "version": 3})
    assert main({**SETTINGS, ORDER_VARIABLE: order}) is ExitCode.MISUSED
    with pytest.raises(ValueError, match=r"order has version 3, and this container understands 2.*Deploy the image"):
        Order.from_json(order)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"config": {}, "run": "a/0", "batch": 1, "remove_source": true}'])
def test_an_unusable_order_ends_with_its_own_code(text, capsys):
    assert main({**SETTINGS, ORDER_VARIABLE: text}) is ExitCode.MISUSED


def test_missing_settings_end_with_the_same_code():
    assert main({}) is ExitCode.MISUSED


def test_a_container_that_does_not_come_to_its_stop_is_ended():
    program = "from client_delivery import container as c; c.logging.basicConfig(); c._end_at_once()"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": PYTHON_PATH},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == ExitCode.STOPPED
    assert "container_stuck" in ended.stderr
