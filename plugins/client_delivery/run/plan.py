"""A run's plan for each waiting file, and why: from the code that decides it, without any change (R9.1)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, cast

from client_delivery.config.delivered import naming_rule
from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.unwritten import UnwrittenLedger
from client_delivery.pickup.recognition import Recognition
from client_delivery.pickup.survey import Survey
from client_delivery.run.naming import Named, arrival_name
from client_delivery.runtime.events import one_line

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile
    from client_delivery.ledger.table import Ledger
    from client_delivery.pickup.intake import Intake, Take
    from client_delivery.run.context import Run

_PAGE = 1000
_LONGEST_ERROR = 2000
"""Characters of a failure: a message with its advice."""


class Fate(StrEnum):
    """The fate of a file in such a run."""

    SEND = "send"
    HELD = "held"
    REMOVED = "removed"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Planned:
    """One file that waits."""

    name: str
    """Untrusted."""
    size: int | None
    """Bytes; None for a file that is no longer in the pick-up."""
    fate: Fate
    why: str
    arrives_as: str | None = None
    """Its name at the destination, if that would differ."""


def plan(run: Run) -> Iterator[Planned]:
    """Each file in the pick-up with its fate, in no order; some files at a time, for as many as there are.

    Raises :class:`~client_delivery.pickup.pickup.PickupError` as a run would.
    """
    ledger = cast("Ledger", UnwrittenLedger(run.ledger))
    recognition = Recognition(ledger, run.rules, run.earlier_ledgers, run.place)
    survey = Survey(run.pickup, ledger, run.options, needs_done_file=run.needs_done_file, recognition=recognition)
    with closing(survey), closing(_Waiting()) as waiting, ExitStack() as opened:
        for page in _pages(run.pickup.everything()):
            waiting.add(page, _too_young(run))
        rule = naming_rule(run.config)
        named = opened.enter_context(closing(Named(run, survey, dry=True))) if rule else None
        done_file_missing = run.needs_done_file and survey.done_file is None
        reasons = _Reasons(run, named, done_file_missing=done_file_missing)
        for intake in (named or survey).parts():
            told = [reasons.by_the_window(one) for one in reasons.of(intake)]
            waiting.deal_with(told)
            yield from told
        yield from (reasons.left(name, size, kind) for name, size, kind in waiting.rest())


class _Reasons:
    """Why, in words."""

    def __init__(self, run: Run, named: Named | None, *, done_file_missing: bool) -> None:
        self._run = run
        self._named = named
        self._rule = naming_rule(run.config)
        self._done_file_missing = done_file_missing
        self._opens = run.closed_until(datetime.now(UTC))

    def of(self, intake: Intake) -> Iterator[Planned]:
        """For files about which a decision was taken."""
        for take in intake.add:
            yield from self._sent(take, "new: this content was never sent to this client")
        for take in intake.resume:
            yield from self._sent(take, _resumed(_known(take)))
        for take in intake.rearm:
            yield from self._sent(take, _again(_known(take)))
        for take, why in intake.refused:
            yield Planned(take.file.name, take.size, Fate.HELD, why)
            for name in sorted(take.duplicates):
                yield Planned(name, None, Fate.HELD, one_line(f"the same content as {take.file.name}, which is held"))
        for entry, file in intake.held:
            nameless = self._named.reason(entry.identity) if self._named else None
            yield Planned(file.name, file.size, Fate.HELD, nameless or self._held(entry, file))
        for entry, file in intake.dismissed:
            why = f"{_past(entry)}; dismissed since: it is sent if somebody drops it again"
            yield Planned(file.name, file.size, Fate.LEFT, why)
        for entry, file in intake.duplicates:
            yield Planned(file.name, file.size, self._cleared, f"the same content was {_past(entry)}")
        for file in intake.remove:
            yield Planned(file.name, file.size, Fate.REMOVED, _past(intake.sent_before[file.key]))

    def by_the_window(self, planned: Planned) -> Planned:
        """Outside the window nothing is handled: each file waits, whatever its fate afterwards."""
        if self._opens is None or planned.fate not in (Fate.SEND, Fate.REMOVED):
            return planned
        why = f"the window is closed until {self._opens}; then {planned.fate.value}: {planned.why}"
        return replace(planned, fate=Fate.LEFT, why=why)

    def left(self, name: str, size: int, kind: _Kind) -> Planned:
        """A file without a decision."""
        if kind is _Kind.FOREIGN:
            why = "the configuration's include and exclude patterns leave it out"
        elif not self._run.options.wants(name):
            why = "the form's pattern leaves it out"
        elif kind is _Kind.YOUNG:
            why = "changed too recently: somebody may still be writing it (guards.stable_for)"
        elif self._done_file_missing:
            why = f"waits for the done file {self._run.config.done_file_key}"
        else:
            why = "delivered already, and after_delivery leaves it there"
        return Planned(name, size, Fate.LEFT, why)

    def _sent(self, take: Take, why: str) -> Iterator[Planned]:
        waits_as = self._waits_as(take.file)
        if not self._run.options.deliverable(take.file.name):
            yield Planned(
                waits_as,
                take.size,
                Fate.HELD,
                "its name is refused: the destination cannot have a file of that name",
            )
        else:
            arrives_as = arrival_name(take, self._rule).delivered or take.file.name
            other = None if arrives_as == waits_as else arrives_as
            yield Planned(waits_as, take.size, Fate.SEND, why, other)
        for name in sorted(take.duplicates):
            same = f"the same content as {waits_as}, which is sent"
            yield Planned(name, None, self._cleared, one_line(same))

    def _waits_as(self, file: PickupFile) -> str:
        """What somebody was asked to drop again is sent under the name that the recipient knows, whatever it is now."""
        prefix = self._run.config.pickup.prefix
        return file.key[len(prefix) :] if file.key.startswith(prefix) else file.name

    @property
    def _cleared(self) -> Fate:
        return Fate.LEFT if self._run.disposal.keeps else Fate.REMOVED

    @staticmethod
    def _held(entry: Entry, file: PickupFile) -> str:
        other = "" if entry.file_name == file.name else f"the same content as {entry.file_name}, which "
        return one_line(f"{other}{_past(entry)}; 'Resend failed files' sends it")


def _known(take: Take) -> Entry:
    assert take.before is not None  # noqa: S101 - only what the ledger knows goes on, or goes again
    return take.before


def _resumed(entry: Entry) -> str:
    return f"started by the run {entry.owned_by.run_id}, after {entry.send_attempts} failed attempts; it continues"


def _again(entry: Entry) -> str:
    if entry.wanted is not None:
        return f"{_past(entry)}; asked for again while it was gone, and dropped again since"
    if entry.status is Status.FAIL:
        return f"{_past(entry)}; asked for again, or dropped again since"
    return f"{_past(entry)}; sent again, because the file checks are bypassed"


def _past(entry: Entry) -> str:
    """Its outcome, when, and in which run."""
    at = entry.timestamp[:16].replace("T", " ")
    if entry.status is Status.FAIL:
        error = (entry.last_error or "no reason is known")[:_LONGEST_ERROR]
        return one_line(f"failed before, on {at} in the run {entry.owned_by.run_id}: {error}")
    named = f" as {entry.file_name}" if entry.file_name else ""
    return one_line(f"sent before{named}, on {at} by the run {entry.owned_by.run_id}")


class _Kind(IntEnum):
    """For a waiting file, before any decision."""

    FOREIGN = 0
    """The patterns leave it out."""
    TAKEN = 1
    YOUNG = 2
    """Too young for the guard ``stable_for``."""


def _too_young(run: Run) -> Callable[[PickupFile], bool]:
    guards = run.config.guards
    wait = guards.stable_for if guards is not None else None
    if wait is None:
        return lambda file: False
    now = datetime.now(UTC)
    return lambda file: now - file.last_modified < wait


class _Waiting:
    """The files without a decision so far, on the disk: there may be a million."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE files (name TEXT PRIMARY KEY, size INTEGER, kind INTEGER) WITHOUT ROWID")

    def close(self) -> None:
        self._db.close()

    def add(self, page: list[tuple[PickupFile, bool]], young: Callable[[PickupFile], bool]) -> None:
        kinds = [_Kind.FOREIGN if not taken else _Kind.YOUNG if young(file) else _Kind.TAKEN for file, taken in page]
        rows = [(_safe(file.name), file.size, kind) for (file, _), kind in zip(page, kinds, strict=True)]
        self._db.executemany("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", rows)

    def deal_with(self, told: Iterable[Planned]) -> None:
        self._db.executemany("DELETE FROM files WHERE name = ?", [(_safe(one.name),) for one in told])

    def rest(self) -> Iterator[tuple[str, int, _Kind]]:
        for name, size, kind in self._db.execute("SELECT name, size, kind FROM files ORDER BY name"):
            yield name.encode().decode("unicode_escape") if "\\" in name else name, size, _Kind(kind)


def _safe(name: str) -> str:
    """SQLite takes no lone surrogates, which a name may have."""
    return name if name.isascii() and "\\" not in name else name.encode("unicode_escape").decode()


def _pages(files: Iterable[tuple[PickupFile, bool]]) -> Iterator[list[tuple[PickupFile, bool]]]:
    page: list[tuple[PickupFile, bool]] = []
    for one in files:
        page.append(one)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
