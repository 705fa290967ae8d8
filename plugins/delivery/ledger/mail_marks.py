"""Which e-mails have been sent: at most one of each kind for each life of a run (R7.2)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr

from delivery.ledger import expressions
from delivery.ledger.entry import RunRef, now
from delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS = 400 * 86_400


class MailMarks:
    """One client's marks, in its partition of the ledger table; DynamoDB removes them when they are old."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._delivery_key = delivery_key

    def claim(self, kind: str, ref: RunRef) -> bool:
        """Claim the right to send the ``kind`` (``started``, ``finished``) of e-mail; False if it has been claimed."""
        request = expressions.update(
            self._table,
            self._key(ref),
            {kind: now(), TTL_ATTRIBUTE: int(time.time()) + _KEPT_SECONDS},
            Attr(kind).not_exists(),
        )
        try:
            self._dynamodb.update_item(**request)
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def release(self, kind: str, ref: RunRef) -> None:
        """Give the claim back: the e-mail was refused and certainly not sent."""
        request = expressions.update(self._table, self._key(ref), {kind: None}, Attr(SORT_KEY).exists())
        self._dynamodb.update_item(**request)

    def _key(self, ref: RunRef) -> dict[str, str]:
        return {PARTITION_KEY: self._delivery_key, SORT_KEY: f"mail#{ref}"}
