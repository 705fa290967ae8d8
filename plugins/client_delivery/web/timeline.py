"""A file's whole life, from the record and from what is in hand now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.record import Recorded
from client_delivery.web.shown import seconds


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the file."""

    at: str
    what: str
    detail: str = ""
    good: bool | None = None
    """True for a delivery, False for a failure."""
    run: str | None = None


def timeline(outcomes: Iterable[Recorded], in_hand: Iterable[Entry]) -> list[Event]:
    """In the order in which it happened; each fact once, though several outcomes tell it."""
    events: dict[tuple[str, str], Event] = {}

    def note(at: str | None, what: str, detail: str = "", good: bool | None = None, run: str | None = None) -> None:
        if at:
            events.setdefault((at, what), Event(at, what, detail, good, run))

    for one in outcomes:
        times = (one.modified, one.registered_at, one.armed_at)
        _prelude(note, times, (one.asked_by, one.asked_why), one.run)
        note(one.began_at, f"attempt {one.attempts} began" if one.attempts else "attempt began", run=one.run)
        took = seconds(one.began_at, one.at)
        if one.status == Status.SUCCESS:
            how = f"{one.delivered_to}, verified by {one.verified_by}, {one.checksum}" + (
                f", in {took}" if took else ""
            )
            note(one.at, "delivered", how, True, one.run)
        else:
            note(one.at, "failed for good", one.error or "", False, one.run)
    for entry in in_hand:
        run = str(entry.owned_by)
        times = (entry.source_modified, entry.created_at, entry.armed_at)
        _prelude(note, times, (entry.asked_by, entry.asked_why), str(entry.armed_by))
        if entry.status is Status.PROCESSING:
            note(entry.attempt_started_at, f"attempt {entry.send_attempts + 1} began", run=run)
            what = "under way" if entry.active else "left by a run that ended; the next one resumes it"
            note(entry.timestamp, what, entry.last_error or "", run=run)
        elif entry.status is Status.FAIL and not entry.active:
            note(entry.timestamp, "held in the pick-up", entry.last_error or "", False, run)
    return sorted(events.values(), key=lambda event: _instant(event.at))


def _prelude(
    note: Callable[..., None],
    times: tuple[str | None, str | None, str | None],
    asked_for: tuple[str | None, str | None],
    run: str,
) -> None:
    (modified, registered, armed), (by, why) = times, asked_for
    note(modified, "put into the pick-up")
    note(registered, "registered", run=run if registered == armed or not armed else None)
    if armed and (armed != registered or by):
        asked = f"asked for by {by}" if by else "by a run"
        note(armed, "set to be sent", asked + (f": {why}" if why else ""), run=run)


def _instant(at: str) -> str:
    """Times of S3 have whole seconds and an offset, those of the ledger milliseconds and a Z."""
    return datetime.fromisoformat(at).isoformat(timespec="milliseconds")
