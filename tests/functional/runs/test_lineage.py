"""R7: what OpenLineage's own provider takes from the task that ends a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from openlineage.client.serde import Serde

from client_delivery.operators.lineage import MOST_FILES
from tests.faults.deliveries import REFUSAL

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PLACE = {"s3": "s3", "gcs": "gs", "sftp": "file"}


def lineage(client, *, red: bool = False):
    """The last run's, by the provider's extractor, as JSON: what its transport would send."""
    extractor = DefaultExtractor(client.task("report"))
    found = extractor.extract_on_failure(None) if red else extractor.extract_on_complete(None)
    sent = json.loads(Serde.to_json(found))
    return [(one["namespace"], one["name"]) for one in sent["inputs"]], sent["outputs"]


def places(client) -> tuple[tuple[str, str], tuple[str, str]]:
    """Pick-up and destination, told apart from the product's own spelling."""
    pickup, destination = client.config.pickup, client.config.destination
    source = (f"s3://{pickup.bucket}", pickup.prefix.strip("/"))
    if destination.type == "sftp":
        return source, (f"file://{destination.host}:{destination.port}", destination.directory)
    return source, (f"{PLACE[destination.type]}://{destination.bucket}", destination.prefix.strip("/"))


@pytest.mark.parametrize("kind", ["s3", "gcs", "sftp"])
def test_a_delivery_is_told_with_its_places_and_files(scenario, kind):
    client = scenario(kind)
    client.drop("claims.csv", "claims")
    client.drop("sub/a b#c?é.csv", "members")
    assert client.run().state == "success"
    inputs, outputs = lineage(client)
    source, target = places(client)
    names = ["claims.csv", "sub/a b#c?é.csv"]
    assert inputs[0] == source
    assert sorted(inputs[1:]) == [(source[0], f"{source[1]}/{name}") for name in names]
    first, *files = outputs
    assert (first["namespace"], first["name"]) == target
    statistics = first["outputFacets"]["outputStatistics"]
    assert (statistics["fileCount"], statistics["size"]) == (2, 13)
    assert sorted((one["namespace"], one["name"]) for one in files) == [
        (target[0], f"{target[1]}/{name}") for name in names
    ]


def test_of_many_files_only_the_places_are_told(scenario):
    client = scenario("s3")
    for number in range(MOST_FILES + 1):
        client.drop(f"{number}.csv", f"file {number:02}")
    client.run()
    inputs, outputs = lineage(client)
    source, target = places(client)
    assert inputs == [source]
    (only,) = outputs
    assert (only["namespace"], only["name"]) == target
    statistics = only["outputFacets"]["outputStatistics"]
    assert (statistics["fileCount"], statistics["size"]) == (MOST_FILES + 1, 7 * (MOST_FILES + 1))


def test_a_red_run_tells_of_what_arrived(scenario):
    client = scenario("s3", guards={"not_empty": True})
    client.drop("claims.csv", "claims")
    client.drop("empty.csv", "")
    assert client.run().state == "failed"
    inputs, outputs = lineage(client, red=True)
    assert [name.rpartition("/")[2] for _, name in inputs[1:]] == ["claims.csv"]
    assert outputs[0]["outputFacets"]["outputStatistics"]["fileCount"] == 1


def test_a_run_that_delivered_nothing_tells_nothing(scenario):
    client = scenario("gcs")
    client.drop("claims.csv", "claims")
    client.gcs_faults(REFUSAL)
    client.run()
    client.gcs_faults()
    assert lineage(client, red=True) == ([], [])


def test_whoever_does_not_ask_loads_nothing_of_it():
    """The provider costs a second of each task, and need not be installed."""
    code = "import client_delivery.dag, sys; print(*sorted(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(PLUGINS)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = run.stdout.split()
    assert "client_delivery.operators.report" in loaded
    # Airflow asks each provider that is installed what it is: that loads this much of it, and nothing else.
    asked = {"airflow.providers.openlineage", "airflow.providers.openlineage.get_provider_info"}
    assert [name for name in loaded if "openlineage" in name and name not in asked] == []
