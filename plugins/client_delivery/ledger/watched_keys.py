"""What is known of one client's keys: one item in its partition of the ledger table. No key is in it, only what each is
called: a fingerprint, or the id of a service account's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.looks import Looks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEM = "mark#keys"


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key, as the look before left it."""

    kind: str
    since: datetime
    """When this system first saw it: from then on its age counts."""
    ends: datetime | None = None
    """The end that people were told of, or are to be."""
    told: int | None = None
    """How many days before that end they were told last; None: not yet."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the look before left."""

    looked_at: datetime | None = None
    states: Mapping[str, KeyState] = field(default_factory=dict)
    """By what identifies the key."""


class WatchedKeys:
    """The item of one client. Kept only where there are keys to be watched."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._looks = Looks(dynamodb, table, delivery_key, _ITEM)

    def known(self) -> Known:
        """Empty if nobody has looked yet. An idle run asks for it: half a read unit, and :meth:`keep` refuses who has
        read something old."""
        last = self._looks.last(consistent=False)
        if last is None:
            return Known()
        looked_at, found = last
        return Known(looked_at, {key: _from_json(fields) for key, fields in found.items()})

    def keep(self, before: Known, now: datetime, states: Mapping[str, KeyState]) -> bool:
        """Keep what this look has found, if no other has kept anything since ``before``: so each thing is told once."""
        return self._looks.keep(before.looked_at, now, {key: _to_json(state) for key, state in states.items()})


def _to_json(state: KeyState) -> dict[str, Any]:
    return {
        "kind": state.kind,
        "since": state.since.isoformat(),
        "ends": state.ends.isoformat() if state.ends else None,
        "told": state.told,
    }


def _from_json(fields: Mapping[str, Any]) -> KeyState:
    ends = fields.get("ends")
    return KeyState(
        kind=fields["kind"],
        since=datetime.fromisoformat(fields["since"]),
        ends=datetime.fromisoformat(ends) if ends else None,
        told=fields.get("told"),
    )
