"""Configurations of many small clients, which deliver from one place in S3 to another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from local.stand_ins import PICKUP_BUCKET, S3_BUCKET


def name_of(number: int) -> str:
    """Of the client, and of the prefix of its pick-up and its destination."""
    return f"client_{number:04d}"


def h_number_of(number: int) -> str:
    """Its client H number."""
    return f"H{10_000 + number}"


def write_configurations(directory: Path, clients: int, **fields: Any) -> None:
    """Write a YAML file for each client.

    :param fields: of every configuration, beside its names and places.
    """
    directory.mkdir(exist_ok=True)
    for number in range(clients):
        name = name_of(number)
        configuration = {
            "name": name,
            "client_h_number": h_number_of(number),
            "contacts": ["data@example.com"],
            "pickup": {"bucket": PICKUP_BUCKET, "prefix": f"{name}/"},
            "destination": {"type": "s3", "bucket": S3_BUCKET, "prefix": f"{name}/"},
            "bypass_file_checks": False,
            "trigger_on_done_file": False,
            **fields,
        }
        (directory / f"{name}.yaml").write_text(yaml.safe_dump(configuration))
