"""The standard deliveries that the campaign troubles, and where it notes what it tried."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

from local.process import ROOT
from tests.support.scenario import MakeScenario, Scenario

MIB = 1024**2
BIG = os.urandom(17 * MIB)


@dataclass(frozen=True)
class Kind:
    """One standard delivery."""

    destination: str
    changes: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    done_file: bool = False
    big: bool = True

    def __str__(self) -> str:
        return "-".join([self.destination, *self.changes])


KINDS = [
    Kind("gcs"),
    Kind("gcs", {"trigger_on_done_file": True}, done_file=True, big=False),
    Kind("gcs", {"offload_threshold": MIB}),
    Kind("sftp"),
    Kind("s3"),
    Kind("s3", {"bypass_file_checks": True}),
]


def prepare(scenario: MakeScenario, kind: Kind) -> tuple[Scenario, dict[str, bytes]]:
    """A client with its files dropped; every content is its own, so that every file has its own ETag."""
    client = scenario(kind.destination, **kind.changes)
    if kind.changes.get("offload_threshold"):
        share_connection(client)
    files = {"a.csv": os.urandom(100), "sub/b c.csv": os.urandom(5000), "empty.csv": b""}
    if kind.big:
        files["big.bin"] = BIG
    for name, content in files.items():
        client.drop(name, content)
    if kind.done_file:
        client.drop_done()
    return client, files


def share_connection(client: Scenario) -> None:
    """The container finds it where MWAA's Airflow does."""
    name = client.config.name
    client.stack.store_connection(name, json.loads(os.environ[f"AIRFLOW_CONN_{name.upper()}"]))


def note(line: str) -> None:
    """For the report of a campaign: .local/faults.txt."""
    report = ROOT / ".local" / "faults.txt"
    report.parent.mkdir(exist_ok=True)
    with report.open("a") as file:
        file.write(line + "\n")
