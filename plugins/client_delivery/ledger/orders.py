"""Containers' orders that are too long for ECS: left in the client's partition of the ledger table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from client_delivery.ledger import expressions
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS = 30 * 86_400


class Orders:
    """One client's orders; DynamoDB removes them when they are old. They hold no credential."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._delivery_key = delivery_key

    def leave(self, owner: RunRef, batch: int, text: str) -> str:
        """Leave the order of one batch of a run; returns the name to :meth:`fetch` it by."""
        name = f"order#{owner}#{batch}"
        item = {**self._key(name), "order": text, TTL_ATTRIBUTE: int(time.time()) + _KEPT_SECONDS}
        self._dynamodb.put_item(TableName=self._table, Item=expressions.to_item(item))
        return name

    def fetch(self, name: str) -> str:
        """The order that was left under that name. Raises ValueError if there is none."""
        for item in Reader(self._dynamodb, self._table).items([self._key(name)]):
            return str(item["order"])
        raise ValueError(f"the ledger has no {name!r} of {self._delivery_key}")

    def _key(self, name: str) -> dict[str, str]:
        return {PARTITION_KEY: self._delivery_key, SORT_KEY: name}
