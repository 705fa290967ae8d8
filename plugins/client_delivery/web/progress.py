"""How far a transfer is, from the ledger's checkpoints alone: the engine is not asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from client_delivery.ledger.entry import Entry, Status
from client_delivery.transfer.arrived import arrived


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one file, or of all that a run has in hand."""

    there: int
    """Bytes that the destination has."""
    size: int
    rate: float | None = None
    """Bytes a second, since the attempt began until its last checkpoint; None while nobody can tell."""

    @property
    def percent(self) -> int:
        """Never 100 before it is delivered."""
        return min(99, 100 * self.there // self.size) if self.size else 0

    @property
    def left(self) -> timedelta | None:
        """How long it will take at this rate."""
        return timedelta(seconds=round((self.size - self.there) / self.rate)) if self.rate else None


def of_entry(entry: Entry) -> Progress:
    """Of one file. What is small has no checkpoints: it is there, or it is not."""
    if entry.status is Status.SUCCESS:
        return Progress(entry.size, entry.size)
    there = arrived(entry.resume)
    return Progress(there, entry.size, _rate(entry, there) if entry.active and entry.attempt_started_at else None)


def of_all(entries: Iterable[Entry]) -> Progress:
    """Of everything in hand: what goes side by side adds up."""
    each = [of_entry(entry) for entry in entries]
    rate = sum(one.rate or 0 for one in each)
    return Progress(sum(one.there for one in each), sum(one.size for one in each), rate or None)


def _rate(entry: Entry, there: int) -> float | None:
    began = datetime.fromisoformat(str(entry.attempt_started_at))
    seconds = (datetime.fromisoformat(entry.timestamp) - began).total_seconds()
    moved = there - entry.attempt_began_with
    return moved / seconds if seconds > 0 and moved > 0 else None
