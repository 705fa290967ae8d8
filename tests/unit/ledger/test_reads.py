"""Reads that take more than one request, and what is not there."""

from __future__ import annotations

from typing import Any

import pytest

from client_delivery.ledger import manifest as manifests
from client_delivery.ledger import months
from client_delivery.ledger.acknowledgements import Acknowledgements
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.manifest import Manifest
from client_delivery.ledger.months import Months
from client_delivery.ledger.orders import Orders
from client_delivery.ledger.reads import Reader
from tests.unit.ledger.table import Table, page

RUN = {"files": 2, "sizeBytes": 10, "failed": 1}


def starts(table: Table) -> list[str | None]:
    """Behind which sort key each query begins."""
    queries = [request.get("ExclusiveStartKey") for name, request in table.requests if name == "query"]
    return [start["etag"]["S"] if start else None for start in queries]


def test_months_are_counted_over_all_pages():
    first = page({"etag": "2026-02#a", **RUN}, {"etag": "2026-03#b", **RUN, "late": True}, last="2026-03#b")
    second = page({"etag": "2026-03#c", **RUN, "late": False}, {"etag": "2026-03#due#x", "due": "f", "late": False})
    table: Any = Table(query=[first, second])
    march, february = Months(table, "ledger").of("H1234", "2026-02")
    assert (march.month, march.runs, march.files, march.failed, march.on_time, march.late) == ("2026-03", 2, 4, 2, 2, 1)
    assert (february.month, february.runs, february.size) == ("2026-02", 1, 10)
    assert starts(table) == [None, "2026-03#b"]


def test_months_without_an_end_are_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(months, "_MOST_PAGES", 3)
    table: Any = Table(query=[page({"etag": "2026-03#b", **RUN}, last="2026-03#b")])
    assert [month.runs for month in Months(table, "ledger").of("H1234", "2026-02")] == [3]


def test_acknowledged_deliveries_come_from_all_pages():
    table: Any = Table(query=[page({"etag": "2026-03-02#b"}, last="2026-03-02#b"), page({"etag": "2026-03-01#a"})])
    assert list(Acknowledgements(table, "ledger", "H1234").since("2026-03")) == ["2026-03-02#b", "2026-03-01#a"]
    assert starts(table) == [None, "2026-03-02#b"]


def test_a_partition_is_read_on_from_where_one_has_come():
    table: Any = Table(query=[page({"etag": "b"}, last="c"), page()])
    reader = Reader(table, "ledger")
    assert reader.some_of_partition("H1234", None, "x") == ([{"etag": "b"}], "c")
    assert reader.some_of_partition("H1234", "c", "x") == ([], None)
    assert starts(table) == [None, "c"]


def test_keys_that_were_left_over_are_asked_for_again():
    key = {"clientHNumber": {"S": "H1234"}, "etag": {"S": "b"}}
    table: Any = Table(
        batch_get_item=[
            {"Responses": {"ledger": [{"etag": {"S": "a"}}]}, "UnprocessedKeys": {"ledger": {"Keys": [key]}}},
            {"Responses": {"ledger": [{"etag": {"S": "b"}}]}},
        ]
    )
    keys = [{"clientHNumber": "H1234", "etag": one} for one in "ab"]
    assert list(Reader(table, "ledger").items(keys)) == [{"etag": "a"}, {"etag": "b"}]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 40])
def test_a_list_of_any_length_is_noted_whole_in_items_that_fit(monkeypatch, count):
    monkeypatch.setattr(manifests, "_CHUNK_BYTES", 200)
    noted: list[Any] = []

    class Writer:
        def put_all(self, table: str, items: list[Any]) -> None:
            noted.extend(items)

    etags = [f"{number:020}" for number in range(count)]
    writer: Any = Writer()
    Manifest(None, writer, "ledger", "H1234").note("run", {0: [*etags, *etags]})  # type: ignore[arg-type]
    assert [etag for item in noted for etag in item["entries"]] == etags
    assert all(item["entries"] and sum(map(len, item["entries"])) <= 200 for item in noted)
    assert len({item["etag"] for item in noted}) == len(noted)


def test_an_order_is_fetched_by_the_name_under_which_it_was_left():
    owner = RunRef("run", 1, "acme")
    there = {"Responses": {"ledger": [{"order": {"S": "{}"}}]}}
    table: Any = Table(put_item=[{}], batch_get_item=[there, {"Responses": {}}])
    orders = Orders(table, "ledger", "H1234")
    name = orders.leave(owner, 3, "{}")
    assert orders.fetch(name) == "{}"
    with pytest.raises(ValueError, match=r"the ledger has no 'order#.*#3' of H1234"):
        orders.fetch(name)
