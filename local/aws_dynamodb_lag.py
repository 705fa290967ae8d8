"""DynamoDB's global indexes, as far behind their table as is ordered.

Developer Guide, *Using Global Secondary Indexes in DynamoDB*, *Data synchronization between tables and Global Secondary
Indexes*: an index is kept up to date asynchronously, so a query of it may return what no longer is so, or not return
what already is. Each item lags by a time of its own; its changes reach the index in their order. Reads of the table
itself, consistent ones above all, are never behind.
"""

from __future__ import annotations

import copy
import inspect
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import moto.dynamodb.models as models
from moto.dynamodb.models.table import Table

Place = tuple[Any, Any, Any]
"""Table, partition key, sort key."""


class IndexLag:
    """What the indexes do not know yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._longest = 0.0
        self._random = random.Random()
        self._behind: dict[tuple[str, Any, Any], list[tuple[float, Any]]] = {}
        self._inner = threading.local()

    def order(self, seconds: float, seed: int = 0) -> None:
        """From now on each change reaches the indexes after 0 to so many seconds; 0: at once, and all that is due."""
        with self._lock:
            self._longest = seconds
            self._random = random.Random(seed)
            if not seconds:
                self._behind.clear()

    @contextmanager
    def noting(self, places: list[Place]) -> Iterator[None]:
        """Around a change of these items: the indexes go on with what they were before, for a while."""
        if not self._longest or getattr(self._inner, "busy", False):
            yield
            return
        before = [copy.deepcopy(table.items[hash_key].get(range_key)) for table, hash_key, range_key in places]
        self._inner.busy = True
        try:
            yield
        finally:
            self._inner.busy = False
        with self._lock:
            for (table, hash_key, range_key), item in zip(places, before, strict=True):
                queue = self._behind.setdefault((table.name, hash_key, range_key), [])
                due = self._clock() + self._random.uniform(0, self._longest)
                queue.append((max(due, queue[-1][0]) if queue else due, item))

    def view(self, table: Table) -> Table:
        """The table as its indexes know it now."""
        now, hidden = self._clock(), {}
        with self._lock:
            for place, queue in list(self._behind.items()):
                while queue and queue[0][0] <= now:
                    queue.pop(0)
                if not queue:
                    del self._behind[place]
                elif place[0] == table.name:
                    hidden[place[1:]] = queue[0][1]
        if not hidden:
            return table
        behind = copy.copy(table)
        behind.items = copy.copy(table.items)
        for hash_key in {hash_key for hash_key, _ in hidden}:
            behind.items[hash_key] = dict(table.items[hash_key])
        for (hash_key, range_key), item in hidden.items():
            if item is None:
                behind.items[hash_key].pop(range_key, None)
            else:
                behind.items[hash_key][range_key] = item
        return behind


def place_of(backend: Any, table_name: str, key: dict[str, Any]) -> Place:
    """Where an item is, by its key or by the whole of it."""
    table = backend.get_table(table_name)
    dynamo_type = models.DynamoType
    return table, dynamo_type(key[table.hash_key_attr]), dynamo_type(key[table.range_key_attr])


def install(lag: IndexLag) -> None:
    """Make moto's indexes lag as ``lag`` is ordered. Transactions note what they touch themselves."""
    for name in ("put_item", "update_item", "delete_item"):
        _install_write(lag, name)
    query = Table.query
    signature = inspect.signature(query)

    @wraps(query)
    def behind(self: Table, *arguments: Any, **options: Any) -> Any:
        by_index = signature.bind(self, *arguments, **options).arguments.get("index_name")
        return query(lag.view(self) if by_index else self, *arguments, **options)

    Table.query = behind  # type: ignore[method-assign]


def _install_write(lag: IndexLag, name: str) -> None:
    original = getattr(models.DynamoDBBackend, name)

    @wraps(original)
    def write(self: Any, table_name: str, key: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        table = self.get_table(table_name)
        if not table.range_key_attr or table.hash_key_attr not in key:
            return original(self, table_name, key, *arguments, **options)
        with lag.noting([place_of(self, table_name, key)]):
            return original(self, table_name, key, *arguments, **options)

    setattr(models.DynamoDBBackend, name, write)
