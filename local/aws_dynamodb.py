"""Two repairs of moto's DynamoDB, whose costs grow where the real one's do not: it backs up the whole table for each
transaction, and walks the service model for each value of each item of an answer."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import moto.dynamodb.models as models
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

_READS = frozenset({"Query", "BatchGetItem"})


def install() -> None:
    """Make the repairs."""
    _install_transactions()
    _install_reads()


def _install_reads() -> None:
    """Items are in DynamoDB's JSON already: write them out as they are."""
    original = DynamoHandler.serialized

    def serialized(self: Any, action_result: Any) -> Any:
        if self._get_action() in _READS and isinstance(action_result.result, dict):
            return 200, dict(self.response_headers), json.dumps(action_result.result)
        return original(self, action_result)

    DynamoHandler.serialized = serialized  # type: ignore[method-assign]


def _install_transactions() -> None:
    """Back up only the items that a transaction touches. The caller lets one transaction run at a time."""
    original = models.DynamoDBBackend.transact_write_items
    # moto's own backup of the table becomes the table itself; the items are put back below.
    models.copy = SimpleNamespace(  # type: ignore[attr-defined]
        deepcopy=lambda value: value if isinstance(value, Table) else copy.deepcopy(value), copy=copy.copy
    )

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        touched = [_place(self, next(iter(item.values()))) for item in transact_items]
        before = [copy.deepcopy(table.items[hash_key].get(range_key)) for table, hash_key, range_key in touched]
        try:
            original(self, transact_items)
        except Exception:
            for (table, hash_key, range_key), item in zip(touched, before, strict=True):
                if item is None:
                    table.items[hash_key].pop(range_key, None)
                else:
                    table.items[hash_key][range_key] = item
            raise

    models.DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]


def _place(backend: Any, operation: dict[str, Any]) -> tuple[Any, Any, Any]:
    table = backend.get_table(operation["TableName"])
    key = operation.get("Key") or operation["Item"]
    dynamo_type = models.DynamoType
    return table, dynamo_type(key[table.hash_key_attr]), dynamo_type(key[table.range_key_attr])
