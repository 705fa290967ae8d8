"""Reads of the ledger's table: by key, or through its sparse index; never a Scan (R3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from delivery.ledger import expressions
from delivery.ledger.schema import OPEN_INDEX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 100
"""DynamoDB's limit."""


class Reader:
    """Finds items, however many there are."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def items(self, keys: Iterable[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
        """The items that there are of these keys, read consistently, a hundred per request."""
        wanted = [expressions.to_item(key) for key in keys]
        for start in range(0, len(wanted), _BATCH):
            some = wanted[start : start + _BATCH]
            pending: dict[str, Any] = {self._table: {"Keys": some, "ConsistentRead": True}}
            while pending:
                answer = self._dynamodb.batch_get_item(RequestItems=pending)
                yield from map(expressions.from_item, answer["Responses"].get(self._table, ()))
                # DynamoDB leaves keys over when it is throttled or the answer exceeds 16 MB.
                pending = answer.get("UnprocessedKeys") or {}

    def indexed(self, open_key: str, work_prefix: str = "") -> Iterator[dict[str, Any]]:
        """The items under this ``openKey``, or those of them whose ``workRef`` begins with the prefix.

        The index lags behind by a moment.
        """
        condition, values = "openKey = :key", {":key": open_key}
        if work_prefix:
            condition, values = f"{condition} AND begins_with(workRef, :work)", {**values, ":work": work_prefix}
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=OPEN_INDEX,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=expressions.to_item(values),
        )
        for page in pages:
            yield from map(expressions.from_item, page["Items"])
