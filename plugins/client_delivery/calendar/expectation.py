"""Which files are expected by when, and whether people are told that they are missing: one pure decision per look.

A file counts if it was delivered, from the moment when it came into the pick-up: a file that came in time is not late
because Airflow stood still. It counts for the due time before which it came; a late file, for the due time that it
missed. No message reports a due time at which no run looked: before the expectation was written, and while the client
was paused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from client_delivery.calendar.due import DueTimes

REMINDED_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The number of files of one kind that are to come by each due time."""

    files: str
    """A pattern for names below the pick-up's prefix, as in the shell."""
    at_least: int
    due: DueTimes

    @property
    def key(self) -> str:
        """Under which its state is kept. A changed word makes a new expectation."""
        return f"{self.files}|{self.at_least}|{self.due.zone}|{self.due.rule}"

    @property
    def words(self) -> str:
        """As a sentence has it."""
        return words_of(self.key)

    def matches(self, name: str) -> bool:
        """Whether a file of this name is one of them."""
        return fnmatchcase(name, self.files)


def words_of(key: str) -> str:
    """As a sentence has it, from :attr:`Expectation.key`."""
    files, at_least, zone, rule = key.rsplit("|", 3)  # of these only a pattern may have a line in it
    return f"{'1 file' if at_least == '1' else f'{at_least} files'} like {files} by {rule} ({zone})"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One delivered file."""

    name: str
    came: datetime
    """When it came into the pick-up."""


class News(StrEnum):
    """The news about an expectation."""

    LATE = "late"
    """A due time has passed without the files."""
    STILL_LATE = "still late"
    CAME_LATE = "came late"


@dataclass(frozen=True, slots=True)
class State:
    """What the last look left of one expectation."""

    since: datetime
    """Files that came after it count for the due time in question."""
    due: datetime
    """The last due time that has been judged."""
    missing: bool = False
    told_at: datetime | None = None
    acknowledged: bool = False
    """A person knows, and wants no more reminders for this due time."""

    def acknowledge(self) -> State:
        """The same, with nobody to be reminded."""
        return replace(self, acknowledged=True)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look finds."""

    state: State
    news: News | None = None
    came: Sequence[str] = ()
    """The expected names that have come, where there is news."""


def judge(
    expectation: Expectation,
    before: State | None,
    now: datetime,
    arrivals: Callable[[datetime], Sequence[Arrival]],
    *,
    paused: bool = False,
    delivered: bool = True,
) -> Judgement:
    """How the expectation stands ``now``.

    :param before: what the look before left; None for an expectation that is new.
    :param arrivals: what has come since a moment, of any name. Asked only if there is something to decide.
    :param paused: nobody has looked for so long that the due times meanwhile are skipped.
    :param delivered: whether anything has been delivered since the look before: otherwise nothing can have come.
    """
    due = expectation.due.before(now)
    if before is None or (due > before.due and paused):
        return Judgement(State(since=due, due=due))
    if due > before.due:
        return _judge_anew(expectation, before, due, now, arrivals)
    remind = not before.acknowledged and (before.told_at is None or now - before.told_at >= REMINDED_AFTER)
    if not before.missing or not (remind or delivered):
        return Judgement(before)
    came = _came(expectation, arrivals(before.since), before.since, now)
    if len(came) >= expectation.at_least:
        return Judgement(State(since=now, due=due), News.CAME_LATE, came)
    if not remind:
        return Judgement(before)
    news = News.LATE if before.told_at is None else News.STILL_LATE
    return Judgement(replace(before, told_at=now), news, came)


def _judge_anew(
    expectation: Expectation,
    before: State,
    due: datetime,
    now: datetime,
    arrivals: Callable[[datetime], Sequence[Arrival]],
) -> Judgement:
    """A due time has passed since the last look. Of several, only the latest is reported."""
    since = max(before.since, expectation.due.before(due - timedelta(microseconds=1)))
    found = arrivals(since)
    if len(_came(expectation, found, since, due)) >= expectation.at_least:
        return Judgement(State(since=due, due=due))
    came = _came(expectation, found, since, now)
    if len(came) >= expectation.at_least:
        # Between the due time and this look: late, and here.
        return Judgement(State(since=now, due=due), News.CAME_LATE, came)
    return Judgement(State(since=since, due=due, missing=True, told_at=now), News.LATE, came)


def _came(expectation: Expectation, found: Sequence[Arrival], since: datetime, until: datetime) -> list[str]:
    names = {one.name for one in found if since < one.came <= until and expectation.matches(one.name)}
    return sorted(names)
