"""Which arrival has started a run: one item in the client's partition of the ledger table, if its pick-up is watched.

Several watchers may see the same arrival, and one that is restarted sees it again before the run has registered
anything. Whoever notes it here first starts the run.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import ConditionalWriter, Write
from client_delivery.runtime.backoff import Backoff

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEM = "mark#drop"
_AGAIN = Backoff(first=300.0, longest=6 * 3600.0, jitter=False)
"""Seconds until the same files may start another run: the first may never have begun (its event was lost, or its DAG
paused), or it may have failed over and over, which is told by every run."""


class Drops:
    """One client's mark."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._dynamodb = dynamodb
        self._writer = ConditionalWriter(dynamodb)
        self._table = table
        self._key = {PARTITION_KEY: delivery_key, SORT_KEY: _ITEM}

    def claim(self, digest: str, now: datetime) -> datetime | None:
        """Claim the right to start a run for what ``digest`` stands for; None if it is ours.

        Otherwise, from when on another may be started for the very same files.
        """
        response = self._dynamodb.get_item(
            TableName=self._table, Key=expressions.to_item(self._key), ConsistentRead=True
        )
        before = expressions.from_item(response.get("Item", {}))
        times = 1
        if before.get("digest") == digest:
            again = datetime.fromisoformat(before["againAt"])
            if now < again:
                return again
            times += int(before["times"])
        again = now + timedelta(seconds=_AGAIN.pause(times))
        unchanged = Attr("at").eq(before["at"]) if before else Attr("at").not_exists()
        assign = {"digest": digest, "at": now.isoformat(), "againAt": again.isoformat(), "times": times}
        ours = self._writer.change(Write.update(self._table, self._key, assign, unchanged)) is not None
        return None if ours else again
