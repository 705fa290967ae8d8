"""A client's working days: Monday to Friday, except for public holidays and for dates of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container

_SATURDAY = 5


class UnknownCalendar(ValueError):
    """The ``holidays`` package knows no such country or region. The message says which there are."""


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """The working days of one client; ``day in business_days`` tells."""

    calendar: str | None = None
    """A country (``US``) or a region of it (``US-TX``), as ISO 3166 has them; None: no public holidays."""
    dates: frozenset[date] = frozenset()
    """Further days off."""

    def __contains__(self, day: date) -> bool:
        return day.weekday() < _SATURDAY and not self.is_holiday(day)

    def is_holiday(self, day: date) -> bool:
        """Whether the calendar, or the client, has the day off."""
        return day in self.dates or (self.calendar is not None and day in _public_holidays(self.calendar))


EVERY_WEEKDAY = BusinessDays()
"""Monday to Friday, whatever the day."""


def check_calendar(name: str) -> None:
    """Raises :class:`UnknownCalendar` if no public holidays are known by that name."""
    _public_holidays(name)


@lru_cache(maxsize=64)
def _public_holidays(name: str) -> Container[date]:
    # Imported here: few clients need it, and every task would pay for it.
    import holidays

    country, _, region = name.partition("-")
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        raise UnknownCalendar(f"No public holidays are known for a country {country!r}.")
    if region and region not in known[country]:
        raise UnknownCalendar(_list(f"regions of {country}", known[country]))
    options: dict[str, Any] = {"subdiv": region} if region else {}
    return holidays.country_holidays(country, **options)


def _list(what: str, known: Iterable[str]) -> str:
    names = sorted(name for name in known if re.fullmatch(r"[A-Z0-9]+", name))
    return f"The known {what} are {', '.join(names)}." if names else f"There are no {what}."
