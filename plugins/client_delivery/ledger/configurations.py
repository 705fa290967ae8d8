"""The configuration with which each delivery last began, and which deliveries are still under way.

A run that has begun ends as it began, whatever happens to YAML files meanwhile (R4.7). So what it began with is kept
in the ledger's table, in a separate partition: one item for each configuration, by name. While the run has files in
hand, the item is in the sparse index, where the code that builds the DAGs finds it even if its file is gone. Afterwards
the item stays: it says which configuration is *established* if two files clash, and when a delivery was due if its file
cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.entry import now
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTITION = "configurations"
"""No delivery key looks like this: those begin with ``H`` and a number."""
_UNDER_WAY = "configurations under way"
"""``openKey`` of the items of runs that have files in hand."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The configuration and parameters that a run began with."""

    name: str
    """The configuration's name, which is its DAG's id."""
    life: RunRef
    configuration: str
    """The configuration as JSON. It holds no credential."""
    params: Mapping[str, Any]
    """The trigger form's parameters, defaults included (R9.1)."""
    at: str
    """ISO 8601, UTC."""

    @property
    def fields(self) -> dict[str, Any]:
        """The configuration's fields that are not default."""
        found: dict[str, Any] = json.loads(self.configuration)
        return found

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Begun:
        """From a deserialized DynamoDB item."""
        return cls(
            item[SORT_KEY],
            RunRef.parse(item["life"]),
            item["configuration"],
            json.loads(item["params"]),
            item["timestamp"],
        )


class Configurations:
    """The items of all configurations in one ledger table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._reader = Reader(dynamodb, table)
        self._writer = ConditionalWriter(dynamodb)

    def begin(self, name: str, life: RunRef, configuration: str, params: Mapping[str, Any]) -> None:
        """A run has files in hand from now on; it replaces what an earlier run began with."""
        item = {
            **self._key(name),
            "life": str(life),
            "configuration": configuration,
            "params": json.dumps(dict(params)),
            "timestamp": now(),
            "openKey": _UNDER_WAY,
            "workRef": name,
        }
        self._dynamodb.put_item(TableName=self._table, Item=expressions.to_item(item))

    def end(self, name: str, life: RunRef) -> None:
        """The run no longer has files in hand. Does nothing if another one has begun since."""
        assign = {"openKey": None, "workRef": None}
        self._writer.change(Write.update(self._table, self._key(name), assign, Attr("life").eq(str(life))))

    def get(self, name: str) -> Begun | None:
        """What the configuration's latest run began with, read consistently; None if it never had a file."""
        response = self._dynamodb.get_item(
            TableName=self._table, Key=expressions.to_item(self._key(name)), ConsistentRead=True
        )
        return Begun.from_item(expressions.from_item(response["Item"])) if "Item" in response else None

    def under_way(self) -> list[Begun]:
        """Those whose run has files in hand. The index lags by a moment."""
        return [Begun.from_item(item) for item in self._reader.indexed(_UNDER_WAY)]

    @staticmethod
    def _key(name: str) -> dict[str, str]:
        return {PARTITION_KEY: PARTITION, SORT_KEY: name}
