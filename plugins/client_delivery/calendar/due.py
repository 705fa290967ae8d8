"""When something is due, again and again, in words that people write: ``monthly, business day 5, 18:00``.

The grammar is closed, so that each accepted rule can be repeated in plain words with its next times. Times are those of
the client's own clock. Where the clock is put forward over a time, it is due once the clock has passed it; where the
clock is put back, it is due the first time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from client_delivery.calendar.business_days import EVERY_WEEKDAY, BusinessDays
from client_delivery.calendar.cron import cron_trouble, looks_like_cron

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PERIODS = ("daily", "business days", "weekly", "monthly", "quarterly", "yearly")
EVERY: Mapping[str, str] = {
    "day": "daily",
    "business day": "business days",
    "week": "weekly",
    "month": "monthly",
    "quarter": "quarterly",
    "year": "yearly",
}
"""What ``every`` may be, with the word that ``by`` has for it."""
EXAMPLES = (
    "daily, 08:00",
    "business days, 08:00",
    "weekly, monday, 18:00",
    "monthly, business day 5, 18:00",
    "monthly, last day, 18:00",
    "quarterly, day 10, 12:00",
    "yearly, day 31, 18:00",  # the 31st of January
)
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_DAY = re.compile(r"(?:(last) (business )?day|(business )?day (\d{1,2}))")
_SHORTEST_DAY = 3
"""Letters of a weekday's name: ``mon`` is one."""
_LONGEST_SEARCH = 600
"""Periods that are searched for a due time: a rule that never comes is refused when it is read."""
_MONTHS_OF = {"monthly": 1, "quarterly": 3, "yearly": 12}
_MOST_DAYS = {"monthly": 31, "quarterly": 92, "yearly": 99}
_MOST_BUSINESS_DAYS = 18
"""No month has fewer, but for one with many holidays: a period that has too few has no due time."""


class NotUnderstood(ValueError):
    """The text has none of the grammar's forms. The message says which part is wrong, and what is accepted there."""


@dataclass(frozen=True, slots=True)
class DueTimes:
    """A rule for due times, with its clock and its working days."""

    rule: str
    """In its plain form, by which two that mean the same are equal."""
    period: str
    """One of :data:`PERIODS`, or ``cron``."""
    at: time
    day: int = 1
    """The day of the period, from 1; from its end where ``last``. For ``weekly`` the weekday, Monday being 1."""
    last: bool = False
    business: bool = False
    zone: str = "UTC"
    days: BusinessDays = EVERY_WEEKDAY

    def after(self, moment: datetime) -> datetime:
        """The first due time after the moment."""
        return next(self._from(moment, 1, lambda due: due > moment))

    def before(self, moment: datetime) -> datetime:
        """The last due time that is not after the moment."""
        return next(self._from(moment, -1, lambda due: due <= moment))

    def next(self, moment: datetime, number: int) -> list[datetime]:
        """The next so many due times after the moment."""
        found: list[datetime] = []
        while len(found) < number:
            found.append(self.after(found[-1] if found else moment))
        return found

    def _from(self, moment: datetime, step: int, fits: Callable[[datetime], bool]) -> Iterator[datetime]:
        """Due times one after the other in the direction of ``step``, beginning around the moment."""
        local = moment.astimezone(ZoneInfo(self.zone))
        if self.period == "cron":
            yield from filter(fits, self._of_cron(local.replace(tzinfo=None), step))
            return
        # One period too early, or too late: what is due at its edge may lie on either side of the moment.
        for number in range(-1, _LONGEST_SEARCH):
            day = self._day_of(self._period(local.date(), step * number))
            if day is not None and fits(due := self._moment(datetime.combine(day, self.at))):
                yield due
        raise NotUnderstood(f"{self.rule!r} never comes.")

    def _moment(self, local: datetime) -> datetime:
        zone = ZoneInfo(self.zone)
        first = local.replace(tzinfo=zone).astimezone(UTC)
        if first.astimezone(zone).replace(tzinfo=None) == local:
            return first
        # The clock skips it. PEP 495: fold=1 takes the offset of after the change, and so a moment before it.
        early, late = local.replace(tzinfo=zone, fold=1).astimezone(UTC), first
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) / 2
            if middle.astimezone(zone).replace(tzinfo=None) < local:
                early = middle
            else:
                late = middle
        return late.replace(microsecond=0)

    def _of_cron(self, local: datetime, step: int) -> Iterator[datetime]:
        from croniter import croniter

        # A day's room: around a change of the clock the order of local times is not that of moments.
        times = croniter(self.rule, local - step * timedelta(days=1))
        for _ in count():
            yield self._moment(times.get_next(datetime) if step > 0 else times.get_prev(datetime))

    def _period(self, day: date, number: int) -> date:
        """The first day of the period that lies ``number`` periods from the one in which the day is."""
        if self.period in ("daily", "business days"):
            return day + timedelta(days=number)
        if self.period == "weekly":
            return day + timedelta(days=7 * number - day.weekday())
        months = _MONTHS_OF[self.period]
        index = (day.year * 12 + day.month - 1) // months * months + number * months
        return date(index // 12, index % 12 + 1, 1)

    def _day_of(self, first: date) -> date | None:
        """The day in the period that begins with ``first``; None if it has none."""
        match self.period:
            case "daily":
                return first
            case "business days":
                return first if first in self.days else None
            case "weekly":
                return first + timedelta(days=self.day - 1)
        days = [first + timedelta(days=number) for number in range((self._period(first, 1) - first).days)]
        if self.business:
            days = [day for day in days if day in self.days]
            if len(days) < self.day:
                return None
        return days[-self.day] if self.last else days[min(self.day, len(days)) - 1]


def understood(by: str, every: str | None = None, *, zone: str = "UTC", days: BusinessDays | None = None) -> DueTimes:
    """The rule that ``by`` says, or ``every`` and ``by`` together.

    Raises :class:`NotUnderstood`.
    """
    days = days or EVERY_WEEKDAY
    text = " ".join(by.lower().split())
    if every is None and looks_like_cron(by.strip()):
        if trouble := cron_trouble(by):
            raise NotUnderstood(f"{trouble} It was read as a cron expression: minute hour day month weekday.")
        return DueTimes(by.strip(), "cron", time(), zone=zone, days=days)
    parts = [part.strip() for part in text.split(",")]
    if every is not None:
        if every not in EVERY:
            raise NotUnderstood(f"Write one of {_listed(EVERY)} for `every`.")
        if parts[0] in PERIODS:
            raise NotUnderstood(f"Leave out `every`, or {parts[0]!r} in `by`: they say the same.")
        parts.insert(0, EVERY[every])
    elif _TIME.fullmatch(parts[0]):
        parts.insert(0, "daily")
    period, *rest = parts
    if period not in PERIODS:
        raise NotUnderstood(f"Begin with one of {_listed(PERIODS)}: for example {EXAMPLES[3]!r}.")
    if not rest or not (at := _TIME.fullmatch(rest[-1])):
        raise NotUnderstood(f"End with a time of day, such as 18:00: for example {_example(period)!r}.")
    words = f"{int(at[1]):02d}:{at[2]}"
    base = DueTimes(f"{period}, {words}", period, time(int(at[1]), int(at[2])), zone=zone, days=days)
    if period in ("daily", "business days"):
        if len(rest) > 1:
            raise NotUnderstood(f"{period!r} takes only a time of day: for example {_example(period)!r}.")
        return base
    if len(rest) != 2:
        raise NotUnderstood(f"{period!r} needs a day and a time of day: for example {_example(period)!r}.")
    base = replace(base, rule=f"{period}, {rest[0]}, {words}")
    return _on_weekday(base, rest[0]) if period == "weekly" else _on_day(base, rest[0])


def _on_weekday(base: DueTimes, day: str) -> DueTimes:
    meant = [one for one in WEEKDAYS if len(day) >= _SHORTEST_DAY and one.startswith(day.removesuffix("s"))]
    if day in ("tues", "weds", "thurs"):
        meant = [one for one in WEEKDAYS if one.startswith(day[:3])]
    if len(meant) != 1:
        raise NotUnderstood(f"Write one of {_listed(WEEKDAYS)}: for example {_example(base.period)!r}.")
    at = base.rule.rpartition(", ")[2]
    return replace(base, day=WEEKDAYS.index(meant[0]) + 1, rule=f"{base.period}, {meant[0]}, {at}")


def _on_day(base: DueTimes, day: str) -> DueTimes:
    most = _MOST_DAYS[base.period]
    if found := _DAY.fullmatch(day):
        number, business = int(found[4] or 1), bool(found[2] or found[3])
        if 1 <= number <= (_MOST_BUSINESS_DAYS if business else most):
            return replace(base, day=number, last=bool(found[1]), business=business)
    raise NotUnderstood(
        f"Write 'day 1' to 'day {most}', 'business day 1' to 'business day {_MOST_BUSINESS_DAYS}', 'last day', or "
        f"'last business day': for example {_example(base.period)!r}."
    )


def _example(period: str) -> str:
    return next(one for one in EXAMPLES if one.startswith(period))


def _listed(words: Iterable[str]) -> str:
    return ", ".join(repr(word) for word in words)
