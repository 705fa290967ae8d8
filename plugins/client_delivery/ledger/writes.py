"""Conditional writes: one by one, or a hundred in one transaction. A write whose condition fails changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from client_delivery.ledger import expressions
from client_delivery.runtime.backoff import Backoff, Retries

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import ConditionBase
    from mypy_boto3_dynamodb import DynamoDBClient

_TRANSACTION = 100
"""DynamoDB's limit."""
_PUTS = 25
"""DynamoDB's limit of BatchWriteItem."""
_UNPROCESSED = Backoff(first=0.05, longest=5.0, jitter=False)
_REFUSED = Backoff(first=0.5, longest=20.0, jitter=False)
_CANCELLED = Backoff(first=0.05, longest=20.0)
_CONFLICT_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Write:
    """A conditional ``Put`` or ``Update`` of one item, and how to recognize that the item has taken it."""

    verb: str
    request: dict[str, Any]
    assigned: Mapping[str, Any]

    @classmethod
    def put(cls, table: str, attributes: Mapping[str, Any], condition: ConditionBase) -> Write:
        """A whole item."""
        return cls("Put", expressions.put(table, attributes, condition), attributes)

    @classmethod
    def update(
        cls,
        table: str,
        key: Mapping[str, str],
        assign: Mapping[str, Any],
        condition: ConditionBase,
        *,
        add: Mapping[str, Any] | None = None,
    ) -> Write:
        """``assign`` sets attributes (None removes), ``add`` increments numbers or adds to sets."""
        return cls("Update", expressions.update(table, key, assign, condition, add=add), assign)

    def is_in(self, item: Mapping[str, Any]) -> bool:
        """Whether the item is as this write leaves it: its time stamp distinguishes it from another writer's."""
        return bool(item) and all(item.get(name) == value for name, value in self.assigned.items())


class ConditionalWriter:
    """Carries writes out, each if its condition holds.

    A response can get lost. The client library then retries, and the condition no longer holds, *because*
    the write took effect. DynamoDB returns the item that it found with its refusal: if the item is as this very write
    leaves it, the write counts as carried out.
    """

    def __init__(self, dynamodb: DynamoDBClient) -> None:
        self._dynamodb = dynamodb

    def change(self, write: Write, *, patience: float = 0) -> dict[str, Any] | None:
        """Carry one write out; returns the whole item after it, or None if the condition did not hold.

        An error that the client library could not overcome is retried for ``patience`` seconds.
        """
        retries = Retries(_REFUSED)
        while True:
            try:
                return self._change(write)
            except (BotoCoreError, ClientError):
                if not retries.wait(patience):
                    raise

    def _change(self, write: Write) -> dict[str, Any] | None:
        request = {**write.request, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            if write.verb == "Put":
                self._dynamodb.put_item(**request)
                return dict(write.assigned)
            response = self._dynamodb.update_item(**request, ReturnValues="ALL_NEW")
        except self._dynamodb.exceptions.ConditionalCheckFailedException as refusal:
            found = cast("Mapping[str, Any]", refusal.response.get("Item", {}))
            item = expressions.from_item(found)
            return item if write.is_in(item) else None
        return expressions.from_item(response["Attributes"])

    def write_all(self, writes: Mapping[str, Write]) -> list[str]:
        """Carry the writes out, given by sort key; returns the sort keys of those whose condition held."""
        done: list[str] = []
        pairs = list(writes.items())
        for start in range(0, len(pairs), _TRANSACTION):
            chunk = pairs[start : start + _TRANSACTION]
            if len(chunk) > 1 and self._transact([write for _, write in chunk]):
                done += [etag for etag, _ in chunk]
            else:
                # One entry of the chunk was not as expected, or there is only one: write each separately.
                done += [etag for etag, write in chunk if self.change(write) is not None]
        return done

    def write_groups(self, groups: Mapping[str, Sequence[Write]]) -> list[str]:
        """Carry groups of writes out, each wholly or not at all; returns the keys of those whose conditions held.

        The first write of a group is the one that tells whether it has been carried out already.
        """
        done: list[str] = []
        pairs = list(groups.items())
        while pairs:
            chunk, pairs = _fitting(pairs)
            if len(chunk) > 1 and self._transact([write for _, group in chunk for write in group]):
                done += [key for key, _ in chunk]
            else:
                # One group of the chunk was not as expected, or there is only one: write each separately.
                done += [key for key, group in chunk if self.change_together(group)]
        return done

    def change_together(self, writes: Sequence[Write], *, patience: float = 0) -> bool:
        """Carry all of these out, or none; False if a condition did not hold.

        If the first is found carried out already, by this very call whose response got lost, all of them are. Errors
        that the client library could not overcome are retried for ``patience`` seconds. A conflict with another writer,
        or a lack of capacity, cancels a transaction without saying anything about its conditions: these are retried for
        half a minute at least.
        """
        token, retries = uuid.uuid4().hex, Retries(_CANCELLED)
        while True:
            try:
                # With the same token DynamoDB carries it out once, however often it is asked within ten minutes (API
                # reference, TransactWriteItems).
                self._dynamodb.transact_write_items(TransactItems=_items(writes), ClientRequestToken=token)
            except self._dynamodb.exceptions.TransactionCanceledException as cancelled:
                reasons: Sequence[Mapping[str, Any]] = cancelled.response.get("CancellationReasons", ())
                if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
                    return writes[0].is_in(expressions.from_item(reasons[0].get("Item", {})))
                if not retries.wait(max(patience, _CONFLICT_PATIENCE)):
                    raise
            except (BotoCoreError, ClientError):
                if not retries.wait(patience):
                    raise
            else:
                return True

    def write_together(self, writes: Sequence[Write]) -> bool:
        """Carry all of these out, or none; False if a condition did not hold."""
        return self._transact(writes)

    def put_all(self, table: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Put items unconditionally: each replaces the one with its key."""
        for start in range(0, len(items), _PUTS):
            puts = [{"PutRequest": {"Item": expressions.to_item(item)}} for item in items[start : start + _PUTS]]
            pending: Any = {table: puts}
            refusals = 0
            while pending := self._dynamodb.batch_write_item(RequestItems=pending).get("UnprocessedItems"):
                # Throttled: AWS asks for an exponential back-off (API reference, BatchWriteItem).
                refusals += 1
                _UNPROCESSED.wait(refusals)

    def _transact(self, writes: Sequence[Write]) -> bool:
        try:
            self._dynamodb.transact_write_items(TransactItems=_items(writes))
        except self._dynamodb.exceptions.TransactionCanceledException:
            return False
        return True


def _items(writes: Sequence[Write]) -> Any:
    return [{write.verb: {**write.request, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}} for write in writes]


def _fitting(
    pairs: list[tuple[str, Sequence[Write]]],
) -> tuple[list[tuple[str, Sequence[Write]]], list[tuple[str, Sequence[Write]]]]:
    """As many groups as fit into one transaction, at least one, and the rest."""
    room, count = _TRANSACTION, 0
    for _, group in pairs:
        room -= len(group)
        if room < 0 and count:
            break
        count += 1
    return pairs[:count], pairs[count:]
