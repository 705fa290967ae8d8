"""On which days a client works: Monday to Friday, but for the public holidays of its calendar and dates of its own."""

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
    """Raises :class:`UnknownCalendar` if there are no public holidays to be had by that name."""
    _public_holidays(name)


@lru_cache(maxsize=64)
def _public_holidays(name: str) -> Container[date]:
    # Imported here: it is needed by few clients, and every task of all of them would pay for it.
    import holidays

    country, _, region = name.partition("-")
    known = holidays.list_supported_countries(include_aliases=False)
    if country not in known:
        raise UnknownCalendar(f"No public holidays are known of a country {country!r}.")
    if region and region not in known[country]:
        raise UnknownCalendar(_list(f"regions of {country}", known[country]))
    options: dict[str, Any] = {"subdiv": region} if region else {}
    return holidays.country_holidays(country, **options)


def _list(what: str, known: Iterable[str]) -> str:
    names = sorted(name for name in known if re.fullmatch(r"[A-Z0-9]+", name))
    return f"The {what} known are {', '.join(names)}." if names else f"There are no {what}."
