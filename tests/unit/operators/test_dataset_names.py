"""What OpenLineage calls the places and files of a delivery (https://openlineage.io/docs/spec/naming)."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from airflow.providers.openlineage.extractors import OperatorLineage

from client_delivery.operators.lineage import MOST_FILES, lineage_of
from tests.support.factories import a_file, an_entry


def told(uri: str, *delivered_to: str | None, name: str = "a.csv", **changes):
    config = SimpleNamespace(
        pickup=SimpleNamespace(bucket="pickup", prefix="in/"), destination=SimpleNamespace(uri=uri)
    )
    entry = replace(an_entry(a_file(name)), **changes)
    return lineage_of(config, [replace(entry, delivered_to=one) for one in delivered_to])


def names(datasets) -> list[tuple[str, str]]:
    return [(one.namespace, one.name) for one in datasets]


@pytest.mark.parametrize(
    ("uri", "delivered_to", "place", "file"),
    [
        ("s3://b/in/", "s3://b/in/a.csv", ("s3://b", "in"), ("s3://b", "in/a.csv")),
        ("s3://b/", "s3://b/a.csv", ("s3://b", "/"), ("s3://b", "a.csv")),
        ("gs://b/x/y/", "gs://b/x/y/a.csv", ("gs://b", "x/y"), ("gs://b", "x/y/a.csv")),
        (
            *("sftp://h.example/in", "sftp://me@h.example:22/in/a.csv"),
            *(("file://h.example:22", "/in"), ("file://h.example:22", "/in/a.csv")),
        ),
        (
            *("sftp://h:2222/~/out/", "sftp://me@h:2222/out/a.csv"),
            *(("file://h:2222", "out"), ("file://h:2222", "out/a.csv")),
        ),
        ("sftp://h/~/", "sftp://me@h:22/a.csv", ("file://h:22", "."), ("file://h:22", "a.csv")),
        ("sftp://h/", "sftp://me@h:22/a.csv", ("file://h:22", "/"), ("file://h:22", "/a.csv")),
        ("sftp://[::1]/in", "sftp://me@[::1]:22/in/a", ("file://[::1]:22", "/in"), ("file://[::1]:22", "/in/a")),
    ],
)
def test_places_and_files_have_the_names_that_airflows_own_transfers_give(uri, delivered_to, place, file):
    found = told(uri, delivered_to)
    assert names(found.outputs) == [place, file]
    assert names(found.inputs) == [("s3://pickup", "in"), ("s3://pickup", "in/a.csv")]


@pytest.mark.parametrize("name", ["a b#c?d=e&f.csv", "../../etc", "{{ ds }}", "gs://other/x", "a\n\x1b[0m"])
def test_a_files_name_is_a_name_whatever_it_says(name):
    found = told("s3://b/in/", f"s3://b/in/{name}", name=name)
    assert names(found.outputs)[1] == ("s3://b", f"in/{name}")
    assert names(found.inputs)[1] == ("s3://pickup", f"in/{name}")


def test_what_no_document_can_hold_is_escaped():
    assert names(told("s3://b/in/", "s3://b/in/\udcff").outputs)[1] == ("s3://b", "in/\\udcff")


def test_bytes_are_those_that_arrived():
    (place, _) = told("s3://b/in/", "s3://b/in/a.csv.gz", size=100, delivered_size=30).outputs
    statistics = place.outputFacets["outputStatistics"]
    assert (statistics.fileCount, statistics.size) == (1, 30)


def test_files_have_datasets_up_to_a_number():
    few, many = (told("s3://b/", *(f"s3://b/{n}" for n in range(count))) for count in (MOST_FILES, MOST_FILES + 1))
    assert (len(few.inputs), len(few.outputs)) == (MOST_FILES + 1, MOST_FILES + 1)
    assert (len(many.inputs), len(many.outputs)) == (1, 1)
    assert many.outputs[0].outputFacets["outputStatistics"].fileCount == MOST_FILES + 1


def test_nothing_delivered_is_nothing_told():
    assert told("s3://b/") == lineage_of(None, [an_entry()]) == OperatorLineage()
