"""What is known about one client's keys: one item in its partition of the ledger table. It contains no key, only each
key's identifier: a fingerprint, or the id of a service account's key."""

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
    """When this system first saw it: its age counts from then."""
    ends: datetime | None = None
    """The end that people were told, or are to be told."""
    told: int | None = None
    """How many days before that end they were last told; None: not yet."""


@dataclass(frozen=True, slots=True)
class Known:
    """The state that the look before left."""

    looked_at: datetime | None = None
    states: Mapping[str, KeyState] = field(default_factory=dict)
    """By the key's identifier."""


class WatchedKeys:
    """The item of one client. Written only if there are keys to watch."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._looks = Looks(dynamodb, table, delivery_key, _ITEM)

    def known(self) -> Known:
        """Empty before the first look. An idle run asks for it: half a read unit, and :meth:`keep` refuses a caller
        that read an old state."""
        last = self._looks.last(consistent=False)
        if last is None:
            return Known()
        looked_at, found = last
        return Known(looked_at, {key: _from_json(fields) for key, fields in found.items()})

    def keep(self, before: Known, now: datetime, states: Mapping[str, KeyState]) -> bool:
        """Write what this look has found, unless another was written since ``before``: so all is reported once."""
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
