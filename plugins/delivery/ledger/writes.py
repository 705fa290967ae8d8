"""Conditional writes: one by one, or a hundred in one transaction. What does not hold changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from delivery.ledger import expressions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TRANSACTION = 100
"""DynamoDB's limit."""


@dataclass(frozen=True, slots=True)
class Write:
    """A ``Put`` or ``Update`` as :mod:`delivery.ledger.expressions` words it."""

    verb: str
    request: dict[str, Any]


class ConditionalWriter:
    """Carries writes out, each if its condition holds."""

    def __init__(self, dynamodb: DynamoDBClient) -> None:
        self._dynamodb = dynamodb

    def change(self, update: Write) -> dict[str, Any] | None:
        """Carry one update out; returns the whole item after it, or None if the condition did not hold."""
        try:
            answer = self._dynamodb.update_item(**update.request, ReturnValues="ALL_NEW")
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return expressions.from_item(answer["Attributes"])

    def write_all(self, writes: Mapping[str, Write]) -> list[str]:
        """Carry the writes out, given by sort key; returns the sort keys of those whose condition held."""
        done: list[str] = []
        pairs = list(writes.items())
        for start in range(0, len(pairs), _TRANSACTION):
            chunk = pairs[start : start + _TRANSACTION]
            if len(chunk) > 1 and self._transact([write for _, write in chunk]):
                done += [etag for etag, _ in chunk]
            else:
                # One entry of the chunk was not as expected, or there is only one: each for itself.
                done += [etag for etag, write in chunk if self._try(write)]
        return done

    def _transact(self, writes: Sequence[Write]) -> bool:
        try:
            self._dynamodb.transact_write_items(TransactItems=[{write.verb: write.request} for write in writes])  # type: ignore[misc]
        except self._dynamodb.exceptions.TransactionCanceledException:
            return False
        return True

    def _try(self, write: Write) -> bool:
        send = self._dynamodb.put_item if write.verb == "Put" else self._dynamodb.update_item
        try:
            send(**write.request)
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True
