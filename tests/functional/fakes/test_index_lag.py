"""Whether the DynamoDB fake's index lags as DynamoDB's may.

Developer Guide: "Using Global Secondary Indexes in DynamoDB", "Data synchronization between tables and Global Secondary
Indexes"; "DynamoDB read consistency".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from local.stand_ins import LEDGER_TABLE
from local.wait import wait_until

LONGEST = 2.0
_numbers = itertools.count(1)


class Client:
    """One partition of the ledger's table, raw."""

    def __init__(self, dynamodb) -> None:
        self.key = f"lag-{next(_numbers)}"
        self.dynamodb = dynamodb

    def put(self, etag: str, work: str | None) -> None:
        opened = {"openKey": {"S": self.key}, "workRef": {"S": work}} if work else {}
        self.dynamodb.put_item(TableName=LEDGER_TABLE, Item={**self.place(etag), **opened})

    def place(self, etag: str) -> dict:
        return {"clientHNumber": {"S": self.key}, "etag": {"S": etag}}

    def _query(self, **how) -> list[dict]:
        return self.dynamodb.query(TableName=LEDGER_TABLE, ExpressionAttributeValues={":key": {"S": self.key}}, **how)[
            "Items"
        ]

    def index(self, **how) -> set[tuple[str, str]]:
        rows = self._query(IndexName="open", KeyConditionExpression="openKey = :key", **how)
        return {(row["etag"]["S"], row["workRef"]["S"]) for row in rows}

    def table(self) -> set[tuple[str, str | None]]:
        rows = self._query(KeyConditionExpression="clientHNumber = :key", ConsistentRead=True)
        return {(row["etag"]["S"], row.get("workRef", {}).get("S")) for row in rows}


@pytest.fixture
def client(aws) -> Iterator[Client]:
    aws.order_index_lag(LONGEST, seed=3)
    yield Client(aws.client("dynamodb"))
    aws.order_index_lag(0)


def test_the_index_knows_later_what_the_table_knows_at_once(client):
    for number in range(20):
        client.put(str(number), "0")
    there = {(str(number), "0") for number in range(20)}
    assert client.table() == there
    assert client.index() < there
    wait_until(lambda: client.index() == there, "the index", seconds=LONGEST + 5, interval=0.05)


def test_an_item_that_left_the_index_is_answered_for_a_while(client):
    client.put("a", "0")
    wait_until(lambda: client.index() == {("a", "0")}, "the index", seconds=LONGEST + 5, interval=0.05)
    for seed in range(20):  # a lag may be of no time at all
        client.dynamodb.transact_write_items(
            TransactItems=[
                {
                    "Update": {
                        "TableName": LEDGER_TABLE,
                        "Key": client.place("a"),
                        "UpdateExpression": "SET workRef = :next",
                        "ExpressionAttributeValues": {":next": {"S": str(seed)}},
                    }
                }
            ]
        )
        assert client.table() == {("a", str(seed))}
    assert client.index() != client.table()
    client.dynamodb.delete_item(TableName=LEDGER_TABLE, Key=client.place("a"))
    assert client.table() == set()
    assert client.index()
    wait_until(lambda: client.index() == set(), "the index", seconds=LONGEST + 5, interval=0.05)


def test_an_items_changes_reach_the_index_in_their_order(client):
    for number in range(10):
        client.put("a", f"{number:02d}")
    seen: list[str] = []

    def look() -> bool:
        seen.extend(work for _, work in client.index())
        return seen[-1:] == ["09"]

    wait_until(look, "the last change", seconds=LONGEST + 5, interval=0.01)
    assert seen == sorted(seen)


def test_what_fails_changes_nothing(client):
    request = {"TableName": LEDGER_TABLE, "Item": client.place("a"), "ConditionExpression": "attribute_exists(etag)"}
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        client.dynamodb.put_item(**request)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        client.dynamodb.transact_write_items(TransactItems=[{"Put": request}])
    assert client.index() == client.table() == set()


def test_an_index_is_never_read_consistently(client):
    with pytest.raises(ClientError, match="ValidationException"):
        client.index(ConsistentRead=True)
