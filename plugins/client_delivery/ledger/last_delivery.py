"""When a client last got a file: one item in its partition of the ledger table, for clients with expected files."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.entry import now
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEM = "mark#last-delivery"
_AT = "deliveredAt"


class LastDelivery:
    """One client's mark. Written only if the configuration says how often files are expected."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._key = {PARTITION_KEY: delivery_key, SORT_KEY: _ITEM}

    def note(self) -> None:
        """A file was delivered just now."""
        at = now()
        condition = Attr(_AT).not_exists() | Attr(_AT).lt(at)
        with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):  # a later one is noted
            self._dynamodb.update_item(**expressions.update(self._table, self._key, {_AT: at}, condition))

    def days_ago(self) -> float | None:
        """How long ago; None if no delivery has been noted yet."""
        response = self._dynamodb.get_item(TableName=self._table, Key=expressions.to_item(self._key))
        if "Item" not in response:
            return None
        at = datetime.fromisoformat(expressions.from_item(response["Item"])[_AT])
        return (datetime.now(UTC) - at).total_seconds() / 86_400
