"""A file's whole life, from the record and from what is in hand now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.record import DISMISSED, Recorded
from client_delivery.pickup.guards import MARK
from client_delivery.web.shown import seconds

if TYPE_CHECKING:
    from client_delivery.ledger.acknowledgements import Acknowledged
    from client_delivery.web.data import Mailed

HELD_BY_GUARD = "held by a guard"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the file."""

    at: str
    what: str
    detail: str = ""
    good: bool | None = None
    """True for a delivery, False for a failure."""
    run: str | None = None

    @property
    def tried(self) -> bool:
        """Whether a task's log tells more about it."""
        return self.what.startswith("attempt") or (self.good is not None and self.what != HELD_BY_GUARD)


def timeline(
    outcomes: Iterable[Recorded],
    entries: Iterable[Entry],
    mails: Iterable[Mailed] = (),
    acknowledged: Iterable[Acknowledged] = (),
) -> list[Event]:
    """In the order in which it happened; each fact once, though several outcomes tell it."""
    events: dict[tuple[str, str], Event] = {}

    def note(at: str | None, what: str, detail: str = "", good: bool | None = None, run: str | None = None) -> None:
        if at:
            events.setdefault((at, what), Event(at, what, detail, good, run))

    for one in outcomes:
        if one.status == DISMISSED:
            note(one.at, "dismissed", _asked(one.asked_by, one.asked_why), run=one.run)
            continue
        times = (one.modified, one.registered_at, one.armed_at)
        _prelude(note, times, (one.asked_by, one.asked_why), one.run)
        _tries(note, [tried for tried in one.tries if tried["at"] != one.at], one.run)
        note(one.began_at, f"attempt {one.attempts} began" if one.attempts else "attempt began", run=one.run)
        took = seconds(one.began_at, one.at)
        if one.status == Status.SUCCESS:
            of = "" if one.delivered_size is None else f", {one.delivered_size} bytes of {one.size}"
            how = f"{one.delivered_to}, verified by {one.verified_by}, {one.checksum}{of}" + (
                f", in {took}" if took else ""
            )
            note(one.at, "delivered", how, True, one.run)
        elif (one.error or "").startswith(MARK) and not one.tries:
            note(one.at, HELD_BY_GUARD, (one.error or "").removeprefix(MARK), False, one.run)
        else:
            note(one.at, "failed for good", one.error or "", False, one.run)
    _by_others(note, mails, acknowledged)
    for entry in entries:
        run = str(entry.owned_by)
        kept = f"kept in {entry.archived_to}" if entry.archived_to else ""
        note(entry.removed_at, "archived" if kept else "removed from the pick-up", kept)
        if entry.wanted:
            said = f"its bytes are gone; {_asked(entry.wanted.by, entry.wanted.why)}"
            note(entry.wanted.at, "waits to be dropped again", said, False, entry.wanted.run)
        if entry.record_days is None and not entry.active:
            _before_the_record(note, entry)
        if not entry.open and entry.status is not Status.FAIL:
            continue
        times = (entry.source_modified, entry.created_at, entry.armed_at)
        _prelude(note, times, (entry.asked_by, entry.asked_why), str(entry.armed_by))
        if entry.status is Status.PROCESSING:
            _tries(note, entry.tries, run)
            note(entry.attempt_started_at, f"attempt {entry.send_attempts + 1} began", run=run)
            what = "under way" if entry.active else "left by a run that ended; the next one resumes it"
            note(entry.timestamp, what, entry.last_error or "", run=run)
        elif entry.status is Status.FAIL and not (entry.active or entry.dismissed or entry.guarded):
            note(entry.timestamp, "held in the pick-up", entry.last_error or "", False, run)
    return sorted(events.values(), key=lambda event: _instant(event.at))


def _by_others(note: Callable[..., None], mails: Iterable[Mailed], acknowledged: Iterable[Acknowledged]) -> None:
    """Who was told, and what the recipient has put back."""
    for mail in mails:
        note(mail.at, f"e-mail 'Job {mail.kind}'", ", ".join(mail.contacts), run=mail.life)
    for one in acknowledged:
        put = f", put there at {one.modified}" if one.modified else ""
        note(one.at, "acknowledged", f"{one.found}{put}", run=one.run)


def _before_the_record(note: Callable[..., None], entry: Entry) -> None:
    """The last event of a file from before there was a record, by its entry."""
    note(entry.source_modified, "put into the pick-up")
    note(entry.created_at, "registered")
    if entry.status is Status.SUCCESS:
        how = f"{entry.delivered_to}, verified by {entry.verified_by}, {entry.checksum}"
        note(entry.timestamp, "delivered, or closed after it", how, True, str(entry.owned_by))


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
        note(armed, "set to be sent", _asked(by, why), run=run)


def _asked(by: str | None, why: str | None) -> str:
    return (f"asked for by {by}" if by else "by a run") + (f": {why}" if why else "")


def _tries(note: Callable[..., None], tries: Iterable[Mapping[str, Any]], run: str) -> None:
    for number, one in enumerate(tries, start=1):
        note(one.get("began"), f"attempt {number} began", run=run)
        note(one["at"], f"attempt {number} failed", one["error"], False, run)


def _instant(at: str) -> str:
    """Times of S3 have whole seconds and an offset, those of the ledger milliseconds and a Z."""
    return datetime.fromisoformat(at).isoformat(timespec="milliseconds")
