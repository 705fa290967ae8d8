"""Messages that were due and did not reach everybody: a later try, or a later run, has to send them (R7.1, R7.3).

The entries that a message is about are closed when its run ends, and then nothing leads to a closed success. So the
entries are noted here, in a few items of the client's partition; DynamoDB removes them when they are old. Items of the
contacts' job e-mails are for another try, or life, of their run; items whose kind begins with ``@`` are for the
client's next run.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.entry import now
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS = 400 * 86_400
_ETAGS_IN_ITEM = 3_000
"""An item has 400 KB, and a sort key at most 1,024 bytes; ours have some 70."""
_MOST_LIVES = 100
_TAKEN_SECONDS = 86_400
_FOR_LATER_RUNS = "@"


@dataclass(frozen=True, slots=True)
class Unsent:
    """An e-mail, or the part of it, that is still to be sent."""

    kind: str
    """``started`` or ``finished``; or, for later runs, its kind and its addressee: ``@finished_<rule>``."""
    owner: RunRef
    """The life of the run that tried to send it."""
    etags: Sequence[str]
    """The sort keys of the entries that it is about."""
    has: Sequence[str] = ()
    """The contacts who have got it."""
    unknown: Sequence[str] = ()
    """The contacts who may have got it: SES's response was lost. It is never sent to them again (R7.2)."""
    reason: str = ""
    """Why the others have not got it."""
    done: bool = False
    """Nothing is left to send; or it is being sent now, and a process that dies then does not give it back (R7.2)."""
    tries: int = 0
    """How often it could not be sent; for later runs."""
    about: Mapping[str, Any] | None = None
    """What it is made from, besides the entries; for later runs."""
    noted_at: str | None = None
    """When this was noted; for later runs."""

    def left(self, contacts: Iterable[str]) -> list[str]:
        """Those of the current contacts to whom it is still to be sent."""
        return [] if self.done else [one for one in contacts if one not in self.has and one not in self.unknown]


class UnsentMail:
    """One client's unsent e-mails, each known by its kind and the life of the run that tried to send it."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._delivery_key = delivery_key

    def note(self, unsent: Unsent) -> None:
        """Write, or replace, what is left of an e-mail. The item that leads to the others is written last."""
        chunks = [unsent.etags[i : i + _ETAGS_IN_ITEM] for i in range(0, len(unsent.etags), _ETAGS_IN_ITEM)] or [[]]
        for number, chunk in reversed(list(enumerate(chunks))):
            first = {
                "kind": unsent.kind,
                "run": str(unsent.owner),
                "has": list(unsent.has),
                "unknown": list(unsent.unknown),
                "reason": unsent.reason,
                "done": unsent.done,
                "chunks": len(chunks),
            }
            if unsent.kind.startswith(_FOR_LATER_RUNS):
                first |= {"tries": unsent.tries, "about": json.dumps(unsent.about), "notedAt": now()}
            item = {
                **self._key(unsent.kind, unsent.owner, number),
                "etags": list(chunk),
                TTL_ATTRIBUTE: int(time.time()) + _KEPT_SECONDS,
                **(first if number == 0 else {}),
            }
            self._dynamodb.put_item(TableName=self._table, Item=expressions.to_item(item))

    def of_run(self, owner: RunRef, kinds: Iterable[str]) -> list[Unsent]:
        """The unsent parts of e-mails that this life of the run, or one before it, tried to send."""
        reader = Reader(self._dynamodb, self._table)
        first = max(0, owner.generation - _MOST_LIVES)
        lives = [replace(owner, generation=life) for life in range(first, owner.generation + 1)]
        found = [
            self._whole(item) for item in reader.items(self._key(kind, life, 0) for kind in kinds for life in lives)
        ]
        return sorted(
            (one for one in found if not one.done or one.unknown), key=lambda one: (one.kind, one.owner.generation)
        )

    def for_later_runs(self) -> list[Unsent]:
        """The messages that the next run has to send, oldest first: one query, of half a read unit if there is none."""
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=f"{PARTITION_KEY} = :key AND begins_with({SORT_KEY}, :prefix)",
            ExpressionAttributeValues=expressions.to_item(
                {":key": self._delivery_key, ":prefix": f"unsent#{_FOR_LATER_RUNS}"}
            ),
        )
        items = [expressions.from_item(item) for page in pages for item in page["Items"]]
        found = [self._whole(item) for item in items if "kind" in item and not item["done"]]
        return sorted(found, key=lambda one: one.noted_at or "")

    def take(self, unsent: Unsent) -> bool:
        """Claim what :meth:`for_later_runs` found; False if another run has. If a process then dies, it is not sent."""
        write = Write.update(
            self._table,
            self._key(unsent.kind, unsent.owner, 0),
            {"done": True, "takenAt": f"{now()} {uuid.uuid4()}", TTL_ATTRIBUTE: int(time.time()) + _TAKEN_SECONDS},
            Attr("done").eq(False) & Attr("tries").eq(unsent.tries),
        )
        return ConditionalWriter(self._dynamodb).change(write) is not None

    def _whole(self, item: Mapping[str, Any]) -> Unsent:
        kind, life, chunks = item["kind"], RunRef.parse(item["run"]), int(item["chunks"])
        more = Reader(self._dynamodb, self._table).items(self._key(kind, life, number) for number in range(1, chunks))
        rest = {one[SORT_KEY]: one["etags"] for one in more}
        etags = [*item["etags"], *(etag for name in sorted(rest) for etag in rest[name])]
        return Unsent(
            kind,
            life,
            etags,
            item["has"],
            item["unknown"],
            item["reason"],
            item["done"],
            int(item.get("tries", 0)),
            json.loads(item["about"]) if "about" in item else None,
            item.get("notedAt"),
        )

    def _key(self, kind: str, owner: RunRef, number: int) -> dict[str, str]:
        return {PARTITION_KEY: self._delivery_key, SORT_KEY: f"unsent#{kind}#{owner}#{number:03d}"}
