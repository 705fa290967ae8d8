"""The assets of the task ``announce``: no client is without its DAG for them."""

from __future__ import annotations

from types import SimpleNamespace

from airflow.sdk import Asset

from client_delivery.operators.announce import AnnounceOperator
from client_delivery.operators.assets import delivered_asset


def announcing(uri: str, prefix: str = "in/") -> AnnounceOperator:
    config = SimpleNamespace(
        name="acme", pickup=SimpleNamespace(bucket="pickup", prefix=prefix), destination=SimpleNamespace(uri=uri)
    )
    return AnnounceOperator(task_id="announce", config=config)


def test_others_name_deliveries_as_the_documents_say():
    assert delivered_asset("acme") == Asset("delivered/acme")


def test_places_and_deliveries_are_shown():
    task = announcing("sftp://h:2222/~/out put")
    assert [one.name for one in task.inlets] == ["s3://pickup/in/"]
    assert [one.name for one in task.outlets] == ["delivered/acme", "sftp://h:2222/~/out%20put"]


def test_a_place_that_is_too_long_for_airflow_is_left_out():
    task = announcing(f"sftp://h/{'é' * 500}", prefix=f"{'é' * 255}/")
    assert (task.inlets, [one.name for one in task.outlets]) == ([], ["delivered/acme"])
