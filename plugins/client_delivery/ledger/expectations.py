"""What is known about the files that one client expects: one item in its partition of the ledger table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from client_delivery.calendar.expectation import State
from client_delivery.ledger.looks import Looks

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEM = "mark#expected"


@dataclass(frozen=True, slots=True)
class Known:
    """The state that the look before left."""

    looked_at: datetime | None = None
    states: Mapping[str, State] = field(default_factory=dict)
    """By :attr:`~client_delivery.calendar.expectation.Expectation.key`."""
    upcoming: Mapping[str, datetime] = field(default_factory=dict)
    """The next due times, by the same; none if written before there was a page."""


class Expectations:
    """The item of one client. Written only if the configuration expects files."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._looks = Looks(dynamodb, table, delivery_key, _ITEM)

    def known(self) -> Known:
        """Read consistently; empty before the first look."""
        last = self._looks.last(consistent=True)
        if last is None:
            return Known()
        looked_at, found = last
        states = {key: _from_json(fields) for key, fields in found.items()}
        upcoming = {key: datetime.fromisoformat(fields["next"]) for key, fields in found.items() if "next" in fields}
        return Known(looked_at, states, upcoming)

    def keep(
        self,
        before: Known,
        now: datetime,
        states: Mapping[str, State],
        upcoming: Mapping[str, datetime] | None = None,
    ) -> bool:
        """Write what this look has found, unless another look was written since ``before``: so news is sent once.

        :param upcoming: the next due times; None if they are as before.
        """
        due = before.upcoming if upcoming is None else upcoming
        written = {key: _to_json(state, due.get(key)) for key, state in states.items()}
        return self._looks.keep(before.looked_at, now, written)


def _to_json(state: State, upcoming: datetime | None) -> dict[str, Any]:
    return {
        "since": state.since.isoformat(),
        "due": state.due.isoformat(),
        "missing": state.missing,
        "toldAt": state.told_at.isoformat() if state.told_at else None,
        "acknowledged": state.acknowledged,
        **({"next": upcoming.isoformat()} if upcoming else {}),
    }


def _from_json(fields: Mapping[str, Any]) -> State:
    told = fields.get("toldAt")
    return State(
        since=datetime.fromisoformat(fields["since"]),
        due=datetime.fromisoformat(fields["due"]),
        missing=fields["missing"],
        told_at=datetime.fromisoformat(told) if told else None,
        acknowledged=fields.get("acknowledged", False),
    )
