"""Acknowledgements by recipients: which deliveries have one, and how far they have been looked for (R8).

The record of deliveries says which deliveries need one; nothing has to be written for that when a file is delivered.
An acknowledgement is one more item of the record, under its delivery's place in the record, so that it is there
once, and never changed (R3.8). A file that was put back acknowledges one delivery; the second item marks it as used::

    partition                              sort key                   says
    record#acknowledged#<delivery key>     <time>#<digest>            the acknowledgement of that very delivery
    record#acknowledged#<delivery key>     by#<digest>                that a file, by name and time, is one
    <delivery key>                         mark#acknowledgements      how far they have been looked for
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.looks import Looks
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEM = "mark#acknowledgements"
_DAY = 86_400
_USE = "by#"
"""After every time."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One delivery that its recipient has acknowledged."""

    position: str
    """The delivery's place in the record: :attr:`~client_delivery.ledger.record.Recorded.position`."""
    at: str
    """When a run found it."""
    file_name: str
    found: str
    """What it is called, with its directory below the place where it is looked for. Untrusted."""
    modified: str | None
    """When it was put there, by the destination's clock; None if the destination does not say."""
    size: int | None
    run: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the acknowledgements of one client have been looked for."""

    looked_at: datetime | None
    """When this was written; None: never."""
    begin: str
    """Deliveries before that moment need no further look."""
    told_until: str
    """Deliveries up to that moment have been judged: acknowledged in time or not."""
    next_look: str
    awaited: int = 0
    """How many deliveries have none yet."""
    missing: int = 0
    """For how many of them that was reported."""
    trouble: str | None = None
    """Why the last look failed."""
    trouble_told: bool = False


class Acknowledgements:
    """Those of one client."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._reader = Reader(dynamodb, table)
        self._writer = ConditionalWriter(dynamodb)
        self._looks = Looks(dynamodb, table, delivery_key, _ITEM)
        self._partition = f"record#acknowledged#{delivery_key}"

    def progress(self) -> Progress | None:
        """None before the first look. Half a read unit: :meth:`keep` refuses a caller that read an old state."""
        last = self._looks.last(consistent=False)
        if last is None:
            return None
        looked_at, states = last
        return Progress(looked_at=looked_at, **states["all"])

    def keep(self, before: Progress | None, now: datetime, after: Progress) -> bool:
        """Write how far this look has come, unless another was written since ``before``: all is reported once."""
        fields = asdict(after)
        del fields["looked_at"]
        return self._looks.keep(before.looked_at if before else None, now, {"all": fields})

    def note(self, one: Acknowledged, days: int) -> bool:
        """Note that the delivery is acknowledged; False if it was before, or if the file acknowledges another one."""
        expires = int(time.time()) + days * _DAY
        attributes = {
            "timestamp": one.at,
            "fileName": one.file_name,
            "foundAs": one.found,
            "modified": one.modified,
            "sizeBytes": one.size,
            "ownedBy": one.run,
            TTL_ATTRIBUTE: expires,
        }
        there = {name: value for name, value in attributes.items() if value is not None}
        leads = {"recordedAs": one.position, TTL_ATTRIBUTE: expires}
        new = Attr(SORT_KEY).not_exists()
        return self._writer.change_together(
            [
                Write.update(self._table, self._key(one.position), there, new),
                Write.update(self._table, self._key(_use(one.found, one.modified)), leads, new),
            ]
        )

    def used(self, candidates: Iterable[tuple[str, str | None]]) -> set[tuple[str, str | None]]:
        """Those of these files, by name and time, that acknowledge a delivery already."""
        by_use = {_use(found, modified): (found, modified) for found, modified in candidates}
        return {by_use[item[SORT_KEY]] for item in self._reader.items(map(self._key, by_use))}

    def since(self, begin: str) -> Iterator[str]:
        """The acknowledged deliveries from that moment on, by their places in the record, the latest first."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": f"{PARTITION_KEY} = :partition AND {SORT_KEY} BETWEEN :begin AND :end",
            "ExpressionAttributeValues": expressions.to_item(
                {":partition": self._partition, ":begin": begin, ":end": _USE}
            ),
            "ConsistentRead": True,
            "ScanIndexForward": False,
        }
        while True:
            response = self._dynamodb.query(**request)
            yield from (expressions.from_item(item)[SORT_KEY] for item in response["Items"])
            if "LastEvaluatedKey" not in response:
                return
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def of(self, positions: Iterable[str]) -> dict[str, Acknowledged]:
        """Those of these deliveries, by their places in the record."""
        keys = map(self._key, dict.fromkeys(positions))
        return {one.position: one for one in map(_from_item, self._reader.items(keys))}

    def _key(self, name: str) -> dict[str, str]:
        return {PARTITION_KEY: self._partition, SORT_KEY: name}


def _use(found: str, modified: str | None) -> str:
    return f"{_USE}{hashlib.sha256(f'{modified}#{found}'.encode()).hexdigest()[:32]}"


def _from_item(item: Mapping[str, Any]) -> Acknowledged:
    return Acknowledged(
        position=item[SORT_KEY],
        at=item["timestamp"],
        file_name=item["fileName"],
        found=item["foundAs"],
        modified=item.get("modified"),
        size=int(item["sizeBytes"]) if "sizeBytes" in item else None,
        run=item["ownedBy"],
    )
