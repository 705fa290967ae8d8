"""What was delivered in each month: one small item for each run that had files in hand, and each due time (R3.8).

A counter would be written by every file's outcome, and DynamoDB makes transactions that meet at one item fail each
other (developer guide, *Transaction conflict handling*). A run's item says the same however often it is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DAY = 86_400
_MOST_PAGES = 20
"""Pages of a MiB each: some 100,000 runs with files."""


@dataclass(slots=True)
class Month:
    """All runs of one month."""

    month: str
    """``2026-03``, UTC, by the time at which a run set its first file to be sent."""
    runs: int = 0
    files: int = 0
    """Delivered files; a file that was sent again counts again."""
    size: int = 0
    """Their bytes."""
    failed: int = 0
    """Final failures, including files that a later run delivered."""
    on_time: int = 0
    """Due times by which all expected files had come; with ``expected_every_days``, runs whose files were in time."""
    late: int = 0
    """Those that were not on time."""


class Months:
    """The items of all clients in one ledger table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._writer = ConditionalWriter(dynamodb)

    def note(
        self,
        delivery_key: str,
        life: str,
        *,
        began: str,
        files: int,
        size: int,
        failed: int,
        late: bool | None,
        keep_days: int,
    ) -> None:
        """The outcome of a life of a run. ``late`` is None if nothing is expected; ``began`` is ISO 8601, UTC."""
        key = {PARTITION_KEY: _partition(delivery_key), SORT_KEY: f"{began[:7]}#{life}"}
        values = {
            "files": files,
            "sizeBytes": size,
            "failed": failed,
            "late": late,
            TTL_ATTRIBUTE: int(datetime.fromisoformat(began).timestamp()) + keep_days * _DAY,
        }
        always = Attr(SORT_KEY).not_exists() | Attr(SORT_KEY).exists()
        self._writer.change(Write.update(self._table, key, values, always))

    def note_due(self, delivery_key: str, due: datetime, expected: str, *, late: bool, keep_days: int) -> None:
        """Whether the ``expected`` files had come when they were due. The first note of a due time holds."""
        moment = due.astimezone(UTC).isoformat(timespec="seconds")
        digest = hashlib.sha256(expected.encode()).hexdigest()[:12]
        key = {PARTITION_KEY: _partition(delivery_key), SORT_KEY: f"{moment[:7]}#due#{moment}#{digest}"}
        values = {"due": expected, "late": late, TTL_ATTRIBUTE: int(due.timestamp()) + keep_days * _DAY}
        self._writer.change(Write.update(self._table, key, values, Attr(SORT_KEY).not_exists()))

    def of(self, delivery_key: str, since: str) -> list[Month]:
        """The months from ``since`` (``2026-03``) on, newest first, without months of which nothing is known."""
        months: dict[str, Month] = {}
        for item in self._items(delivery_key, since):
            name = item[SORT_KEY][:7]
            month = months.setdefault(name, Month(name))
            if "due" not in item:
                month.runs += 1
                month.files += int(item["files"])
                month.size += int(item["sizeBytes"])
                month.failed += int(item["failed"])
            if "late" in item:
                month.late += item["late"]
                month.on_time += not item["late"]
        return sorted(months.values(), key=lambda month: month.month, reverse=True)

    def _items(self, delivery_key: str, since: str) -> Iterator[dict[str, Any]]:
        values = {":partition": _partition(delivery_key), ":since": since}
        request: Any = {
            "KeyConditionExpression": f"{PARTITION_KEY} = :partition AND {SORT_KEY} >= :since",
            "ExpressionAttributeValues": expressions.to_item(values),
        }
        for _ in range(_MOST_PAGES):
            response = self._dynamodb.query(TableName=self._table, **request)
            yield from map(expressions.from_item, response["Items"])
            if "LastEvaluatedKey" not in response:
                return
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]


def _partition(delivery_key: str) -> str:
    return f"record#months#{delivery_key}"
