"""The delivery keys of each pick-up so far, so that the ledger keeps its history when the YAML is edited.

A configuration that gets a ``feed``, or another one, moves to another partition of the ledger. This item, one for each
pick-up, remembers the earlier partitions, in which its history is then looked up too (R3.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.pickup_items import partition_of
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEYS = "deliveryKeys"


class Registry:
    """One pick-up's item in the ledger table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, bucket: str, prefix: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = {PARTITION_KEY: partition_of(bucket, prefix), SORT_KEY: "mark#delivery-keys"}

    def delivery_keys(self) -> list[str]:
        """All keys so far, the one in use last; none before the first run."""
        response = self._dynamodb.get_item(
            TableName=self._table, Key=expressions.to_item(self._key), ConsistentRead=True
        )
        return list(expressions.from_item(response.get("Item", {})).get(_KEYS, ()))

    def use(self, delivery_key: str, before: list[str]) -> None:
        """From now on this key is in use; ``before`` is what :meth:`delivery_keys` returned.

        Raises botocore's ``ConditionalCheckFailedException`` if another run has changed the item since.
        """
        keys = [*(key for key in before if key != delivery_key), delivery_key]
        condition = Attr(_KEYS).eq(before) if before else Attr(_KEYS).not_exists()
        self._dynamodb.update_item(**expressions.update(self._table, self._key, {_KEYS: keys}, condition))
