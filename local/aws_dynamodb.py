"""What moto's DynamoDB lacks.

Two repairs of costs that grow where the real one's do not: it backs up the whole table for each transaction, and walks
the service model for each value of each item of a response. And indexes that lag (:mod:`local.aws_dynamodb_lag`).
"""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import moto.dynamodb.models as models
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from local import aws_dynamodb_lag
from local.aws_dynamodb_lag import IndexLag, place_of

_READS = frozenset({"Query", "BatchGetItem"})


def install(lag: IndexLag) -> None:
    """Make it so, in this process."""
    aws_dynamodb_lag.install(lag)
    _install_transactions(lag)
    _install_reads()


def _install_reads() -> None:
    """Items are in DynamoDB's JSON already: write them out as they are."""
    original = DynamoHandler.serialized

    def serialized(self: Any, action_result: Any) -> Any:
        if self._get_action() in _READS and isinstance(action_result.result, dict):
            return 200, dict(self.response_headers), json.dumps(action_result.result)
        return original(self, action_result)

    DynamoHandler.serialized = serialized  # type: ignore[method-assign]


def _install_transactions(lag: IndexLag) -> None:
    """Back up only the items that a transaction touches. The caller lets one transaction run at a time."""
    original = models.DynamoDBBackend.transact_write_items
    # moto's own backup of the table becomes the table itself; the items are put back below.
    models.copy = SimpleNamespace(  # type: ignore[attr-defined]
        deepcopy=lambda value: value if isinstance(value, Table) else copy.deepcopy(value), copy=copy.copy
    )

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        operations = [next(iter(item.values())) for item in transact_items]
        touched = [place_of(self, one["TableName"], one.get("Key") or one["Item"]) for one in operations]
        before = [copy.deepcopy(table.items[hash_key].get(range_key)) for table, hash_key, range_key in touched]
        try:
            with lag.noting(touched):
                original(self, transact_items)
        except Exception:
            for (table, hash_key, range_key), item in zip(touched, before, strict=True):
                if item is None:
                    table.items[hash_key].pop(range_key, None)
                else:
                    table.items[hash_key][range_key] = item
            raise

    models.DynamoDBBackend.transact_write_items = transact_write_items  # type: ignore[method-assign]
