"""E-mails that were due and did not go to everybody: what a later try, or a cleared task, has to send (R7.1, R7.3).

The entries that an e-mail is about are closed when its run ends, and nothing leads to a closed success any more. So
what the e-mail is about is noted here, in a few items of the client's partition; DynamoDB removes them when they are
old.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from client_delivery.ledger import expressions
from client_delivery.ledger.entry import RunRef
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS = 400 * 86_400
_ETAGS_IN_ITEM = 3_000
"""An item has 400 KB, and a sort key at most 1,024 bytes; ours have some 70."""
_MOST_LIVES = 100


@dataclass(frozen=True, slots=True)
class Unsent:
    """What is left of one e-mail."""

    kind: str
    """``started`` or ``finished``."""
    owner: RunRef
    """The life of the run that tried to send it."""
    etags: Sequence[str]
    """The sort keys of the entries that it is about."""
    has: Sequence[str] = ()
    """The contacts who have got it."""
    unknown: Sequence[str] = ()
    """The contacts of whom it is not known: SES's response was lost. It is never sent to them again (R7.2)."""
    reason: str = ""
    """Why the others have not."""
    done: bool = False
    """Nothing is left of it; or it is being sent just now: who dies then has not given it back (R7.2)."""

    def left(self, contacts: Iterable[str]) -> list[str]:
        """Whom of the contacts, as they are by now, it is to be sent to."""
        return [] if self.done else [one for one in contacts if one not in self.has and one not in self.unknown]


class UnsentMail:
    """One client's unsent e-mails, each known by its kind and the life of the run that tried to send it."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._delivery_key = delivery_key

    def note(self, unsent: Unsent) -> None:
        """Keep, or replace, what is left of an e-mail. The item that leads to the others is written last."""
        chunks = [unsent.etags[i : i + _ETAGS_IN_ITEM] for i in range(0, len(unsent.etags), _ETAGS_IN_ITEM)]
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
            item = {
                **self._key(unsent.kind, unsent.owner, number),
                "etags": list(chunk),
                TTL_ATTRIBUTE: int(time.time()) + _KEPT_SECONDS,
                **(first if number == 0 else {}),
            }
            self._dynamodb.put_item(TableName=self._table, Item=expressions.to_item(item))

    def of_run(self, owner: RunRef, kinds: Iterable[str]) -> list[Unsent]:
        """What is left of the e-mails that this life of the run, or one before it, tried to send."""
        reader = Reader(self._dynamodb, self._table)
        first = max(0, owner.generation - _MOST_LIVES)
        lives = [replace(owner, generation=life) for life in range(first, owner.generation + 1)]
        found = []
        for item in reader.items(self._key(kind, life, 0) for kind in kinds for life in lives):
            kind, life, chunks = item["kind"], RunRef.parse(item["run"]), int(item["chunks"])
            more = reader.items(self._key(kind, life, number) for number in range(1, chunks))
            rest = {one[SORT_KEY]: one["etags"] for one in more}
            etags = [*item["etags"], *(etag for name in sorted(rest) for etag in rest[name])]
            found.append(Unsent(kind, life, etags, item["has"], item["unknown"], item["reason"], item["done"]))
        return sorted(
            (one for one in found if not one.done or one.unknown), key=lambda one: (one.kind, one.owner.generation)
        )

    def _key(self, kind: str, owner: RunRef, number: int) -> dict[str, str]:
        return {PARTITION_KEY: self._delivery_key, SORT_KEY: f"unsent#{kind}#{owner}#{number:03d}"}
