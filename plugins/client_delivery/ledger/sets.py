"""Sets: files that were registered together, and the companions that arrive with them (R12).

A set is the files that one life of a run registers; it is fixed then. Sets are kept by pick-up, like
:mod:`client_delivery.ledger.registry`::

    pickup#<bucket>/<prefix>   set#<life>                 what is to arrive, and whether it has
                               set#<life>#m#<random>      the sort keys of its files, some at a time

The entry itself says to which set it belongs (``setId``); the lists only lead there. A set is *sealed* when all its
files are registered: before that, none of them is sent. A set that a run has to look at has an ``openKey``, so that
the sparse index finds it, and the cost of the index does not grow with history (R3.4).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger.entry import now
from client_delivery.ledger.pickup_items import PickupItems, kept_until
from client_delivery.ledger.schema import SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CHUNK = 2000
"""Sort keys in one item: an item may have 400 KB."""
_ERROR_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class FileSet:
    """One set."""

    id: str
    completion: str | None
    """The name of its completion file; None if it gets none."""
    content: str
    """Of the completion file: ``empty``, ``names``, ``csv`` or ``json``."""
    sidecar: str | None
    """The algorithm of the checksum files; None if there are none."""
    completed_at: str | None = None
    """When the completion file had arrived."""
    completed_to: str | None = None
    """The place of the completion file."""
    trouble: str | None = None
    """Why the companions that are due could not be delivered in the last try."""


class Sets(PickupItems):
    """The sets of one pick-up."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, bucket: str, prefix: str) -> None:
        super().__init__(dynamodb, table, bucket, prefix)
        self._open_key = f"set:{bucket}/{prefix}"

    def note(self, set_id: str, entries: Iterable[str]) -> None:
        """Add files, by the sort keys of their entries, before these are written."""
        keys, expires = sorted(set(entries)), kept_until()
        items = [
            {
                **self._key(f"set#{set_id}#m#{uuid.uuid4().hex}"),
                "entries": keys[start : start + _CHUNK],
                TTL_ATTRIBUTE: expires,
            }
            for start in range(0, len(keys), _CHUNK)
        ]
        self._writer.put_all(self._table, items)

    def seal(self, new: FileSet) -> None:
        """All files of the set are registered. A set that was sealed before stays as it is."""
        assign = {
            "sealedAt": now(),
            "completion": new.completion,
            "content": new.content,
            "sidecar": new.sidecar,
            **self._due(new.id),
            TTL_ATTRIBUTE: kept_until(),
        }
        self._change(new.id, assign, Attr("sealedAt").not_exists())

    def find(self, ids: Iterable[str]) -> dict[str, FileSet]:
        """The sealed ones among these sets, read consistently."""
        items = self._reader.items(self._key(_of(one)) for one in dict.fromkeys(ids))
        found = [item for item in items if "sealedAt" in item]
        return {item[SORT_KEY].removeprefix("set#"): _from_item(item) for item in found}

    def members(self, set_id: str) -> list[str]:
        """The sort keys of entries that may belong to the set: the entries say whether they do."""
        found: dict[str, None] = {}
        for item in self._reader.partition(self._partition, f"set#{set_id}#m#"):
            found.update(dict.fromkeys(item["entries"]))
        return list(found)

    def due(self) -> list[str]:
        """The sets that a run has to look at. The index lags by a moment."""
        return [item[SORT_KEY].removeprefix("set#") for item in self._reader.indexed(self._open_key)]

    def mark_due(self, ids: Iterable[str], trouble: str | None = None) -> None:
        """A run has to look at these sealed sets: a person has decided about a file, or a delivery failed."""
        for one in ids:
            why = trouble[:_ERROR_LENGTH] if trouble else None
            self._change(one, {**self._due(one), "trouble": why}, Attr("sealedAt").exists())

    def settled(self, set_id: str) -> None:
        """Nothing of it is due now: all has arrived, or a file is missing, whose delivery brings the set up again."""
        self._change(set_id, dict.fromkeys(("openKey", "workRef", "trouble")), Attr("sealedAt").exists())

    def completed(self, set_id: str, uri: str, checksum: str) -> bool:
        """The completion file has arrived; False if that was noted before."""
        assign = {"completedAt": now(), "completedTo": uri, "completionChecksum": checksum}
        return self._change(set_id, assign, Attr("completedAt").not_exists())

    def _due(self, set_id: str) -> dict[str, str]:
        return {"openKey": self._open_key, "workRef": set_id}

    def _change(self, set_id: str, assign: Mapping[str, Any], condition: Any) -> bool:
        return self._writer.change(Write.update(self._table, self._key(_of(set_id)), assign, condition)) is not None


def _of(set_id: str) -> str:
    return f"set#{set_id}"


def _from_item(item: Mapping[str, Any]) -> FileSet:
    return FileSet(
        id=item[SORT_KEY].removeprefix("set#"),
        completion=item.get("completion"),
        content=item["content"],
        sidecar=item.get("sidecar"),
        completed_at=item.get("completedAt"),
        completed_to=item.get("completedTo"),
        trouble=item.get("trouble"),
    )
