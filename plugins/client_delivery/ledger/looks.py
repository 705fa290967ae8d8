"""The state that a look at something of one client left, in one item of its partition.

The next look continues from there. Of two looks at the same moment, only one writes what it has found, and reports it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

States = Mapping[str, Mapping[str, Any]]
"""The state of each thing as JSON, by what identifies it."""


class Looks:
    """One item: the time of the last look, and the state that it left."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str, item: str) -> None:
        self._dynamodb = dynamodb
        self._writer = ConditionalWriter(dynamodb)
        self._table = table
        self._key = {PARTITION_KEY: delivery_key, SORT_KEY: item}

    def last(self, *, consistent: bool) -> tuple[datetime, States] | None:
        """The last look; None if there was none. Half a read unit, or one if it is read consistently."""
        response = self._dynamodb.get_item(
            TableName=self._table, Key=expressions.to_item(self._key), ConsistentRead=consistent
        )
        if "Item" not in response:
            return None
        item = expressions.from_item(response["Item"])
        return datetime.fromisoformat(item["lookedAt"]), json.loads(item["states"])

    def keep(self, before: datetime | None, now: datetime, states: States) -> bool:
        """Write what this look has found, unless another look was written since the one at ``before``."""
        assign = {"lookedAt": now.isoformat(), "states": json.dumps(states)}
        unchanged = Attr("lookedAt").not_exists() if before is None else Attr("lookedAt").eq(before.isoformat())
        return self._writer.change(Write.update(self._table, self._key, assign, unchanged)) is not None
