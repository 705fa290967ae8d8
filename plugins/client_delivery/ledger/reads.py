"""Reads of the ledger's table: by key, or through its sparse index; never a Scan (R3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from client_delivery.ledger import expressions
from client_delivery.ledger.schema import OPEN_INDEX, PARTITION_KEY, SORT_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 100
"""DynamoDB's limit."""
_PARALLEL = 8
"""Requests at the same time: each takes some milliseconds at DynamoDB, during which the worker only waits."""


class Reader:
    """Finds items, however many there are."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def items(self, keys: Iterable[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
        """The items that exist for these keys, read consistently, a hundred per request."""
        wanted = [expressions.to_item(key) for key in keys]
        batches = [wanted[start : start + _BATCH] for start in range(0, len(wanted), _BATCH)]
        if len(batches) <= 1:
            for batch in batches:
                yield from self._batch(batch)
            return
        with ThreadPoolExecutor(min(_PARALLEL, len(batches))) as pool:
            for items in pool.map(self._batch, batches):
                yield from items

    def _batch(self, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        pending: dict[str, Any] = {self._table: {"Keys": keys, "ConsistentRead": True}}
        while pending:
            response = self._dynamodb.batch_get_item(RequestItems=pending)
            items += map(expressions.from_item, response["Responses"].get(self._table, ()))
            # DynamoDB leaves keys over when it is throttled or the response exceeds 16 MB.
            pending = response.get("UnprocessedKeys") or {}
        return items

    def partition(self, delivery_key: str, prefix: str) -> Iterator[dict[str, Any]]:
        """The items of one partition whose sort key begins with the prefix, read consistently; all, if it is empty."""
        condition, values = f"{PARTITION_KEY} = :key", {":key": delivery_key}
        if prefix:
            condition, values = f"{condition} AND begins_with({SORT_KEY}, :prefix)", {**values, ":prefix": prefix}
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=expressions.to_item(values),
            ConsistentRead=True,
        )
        for page in pages:
            yield from map(expressions.from_item, page["Items"])

    def some_of_partition(
        self, delivery_key: str, after: str | None, condition: str
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Those of one request's items of a partition for which the condition holds, and its last sort key if there are
        more; eventually consistent."""
        start: Any = {}
        if after:
            start = {"ExclusiveStartKey": expressions.to_item({PARTITION_KEY: delivery_key, SORT_KEY: after})}
        response = self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression=f"{PARTITION_KEY} = :key",
            FilterExpression=condition,
            ExpressionAttributeValues=expressions.to_item({":key": delivery_key}),
            **start,
        )
        last = response.get("LastEvaluatedKey")
        return [*map(expressions.from_item, response["Items"])], last[SORT_KEY]["S"] if last else None

    def indexed(self, open_key: str, work_prefix: str = "") -> Iterator[dict[str, Any]]:
        """The items under this ``openKey``, or those of them whose ``workRef`` begins with the prefix.

        The index lags by a moment.
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
