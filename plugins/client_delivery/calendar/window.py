"""The hours during which sending may begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from client_delivery.calendar.business_days import EVERY_WEEKDAY, BusinessDays

_LONGEST_SEARCH = 400
"""Days."""


@dataclass(frozen=True, slots=True)
class Window:
    """From one time of the client's clock to another, on some days; past midnight where ``until`` is the earlier."""

    begin: time
    until: time
    weekdays: frozenset[int] = frozenset(range(7))
    """On which it begins; Monday is 0."""
    business: bool = False
    """Only on working days."""
    zone: str = "UTC"
    days: BusinessDays = EVERY_WEEKDAY

    def is_open(self, moment: datetime) -> bool:
        """Whether sending may begin now."""
        local = moment.astimezone(ZoneInfo(self.zone))
        clock, day = local.time(), local.date()
        if self.begin < self.until:
            return self.begin <= clock < self.until and self._opens_on(day)
        if clock >= self.begin and self._opens_on(day):
            return True
        return clock < self.until and self._opens_on(day - timedelta(days=1))

    def opens(self, moment: datetime) -> datetime | None:
        """When it opens next, after the moment; None if it does not within a year."""
        local = moment.astimezone(ZoneInfo(self.zone))
        for number in range(_LONGEST_SEARCH):
            day = local.date() + timedelta(days=number)
            begin = datetime.combine(day, self.begin, ZoneInfo(self.zone))
            if self._opens_on(day) and begin.astimezone(UTC) > moment:
                return begin
        return None

    def _opens_on(self, day: date) -> bool:
        return day.weekday() in self.weekdays and (day in self.days if self.business else not self.days.is_holiday(day))
