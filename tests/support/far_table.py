"""A DynamoDB of which each answer takes 5 ms, for the Deliveries page's times."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable
from typing import Any

from client_delivery.ledger import expressions

AWAY = 0.005
"""Seconds there and back."""
_MIB = 1024**2


class FarTable:
    """DynamoDB's Query, GetItem and BatchGetItem on sorted partitions, 5 ms away and at most 1 MiB an answer.

    :param made: makes the item of what was put, when it is read; as it is, if nothing is given.
    """

    def __init__(self, made: Callable[[Any], dict[str, Any]] = lambda item: item) -> None:
        self._items: dict[str, list[tuple[str, Any]]] = {}
        self._made = made
        self.requests = 0

    def put(self, item: dict[str, Any]) -> None:
        """One more item."""
        self.lay(item["clientHNumber"], item["etag"], item)

    def lay(self, partition: str, sort_key: str, what: Any) -> None:
        """One more item, of which only so much is kept as it takes to make it."""
        self._items.setdefault(partition, []).append((sort_key, what))

    def sort(self) -> None:
        """All is there."""
        for items in self._items.values():
            items.sort(key=lambda one: one[0])

    def query(self, **request: Any) -> dict[str, Any]:
        """As DynamoDB."""
        self._travel()
        values = {name: one["S"] for name, one in request["ExpressionAttributeValues"].items()}
        if "IndexName" in request:
            return {"Items": []}
        items = self._items.get(next(iter(values.values())), [])
        low, high = 0, len(items)
        if ":lower" in values:
            low = bisect.bisect_left(items, values[":lower"], key=lambda one: one[0])
            high = bisect.bisect_right(items, values[":upper"], key=lambda one: one[0])
        if beginning := values.get(":beginning") or values.get(":prefix"):
            low = bisect.bisect_left(items, beginning, key=lambda one: one[0])
            high = bisect.bisect_left(items, beginning + "\U0010ffff", key=lambda one: one[0])
        found = items[low:high] if request.get("ScanIndexForward", True) else items[low:high][::-1]
        if start := request.get("ExclusiveStartKey"):
            keys = [one[0] for one in found]
            found = found[keys.index(start["etag"]["S"]) + 1 :]
        answer, size = [], 0
        for _, what in found[: request.get("Limit", len(found))]:
            item = expressions.to_item(self._made(what))
            answer.append(item)
            if (size := size + len(str(item))) > _MIB:
                break
        if len(answer) == len(found):
            return {"Items": answer}
        return {"Items": answer, "LastEvaluatedKey": {name: answer[-1][name] for name in ("clientHNumber", "etag")}}

    def get_item(self, **request: Any) -> dict[str, Any]:
        """As DynamoDB."""
        self._travel()
        found = self._at(request["Key"])
        return {"Item": found} if found else {}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:
        """As DynamoDB."""
        self._travel()
        ((table, asked),) = RequestItems.items()
        return {"Responses": {table: [item for key in asked["Keys"] if (item := self._at(key))]}}

    def get_paginator(self, name: str) -> FarTable:
        """As boto3."""
        assert name == "query"
        return self

    def paginate(self, **request: Any) -> Any:
        """As boto3."""
        while True:
            answer = self.query(**request)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _at(self, key: dict[str, Any]) -> dict[str, Any] | None:
        items = self._items.get(key["clientHNumber"]["S"], [])
        place = bisect.bisect_left(items, key["etag"]["S"], key=lambda one: one[0])
        there = place < len(items) and items[place][0] == key["etag"]["S"]
        return expressions.to_item(self._made(items[place][1])) if there else None

    def _travel(self) -> None:
        self.requests += 1
        time.sleep(AWAY)
