"""A client's time zone, and what was meant where something else was written."""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.config.refusal import refusal

_A_ZONE = "a time zone such as America/Chicago, or UTC"
_UNITED_STATES = "America/New_York, America/Chicago, America/Denver or America/Los_Angeles"
_PLACES = {
    "America/New_York": "EST EDT ET EASTERN",
    "America/Chicago": "CST CDT CT CENTRAL",
    "America/Denver": "MST MDT MT MOUNTAIN",
    "America/Los_Angeles": "PST PDT PT PACIFIC",
    "America/Anchorage": "AKST AKDT ALASKA",
    "Pacific/Honolulu": "HST HAWAII",
    "America/Puerto_Rico": "AST PR",
    "Europe/London": "GMT BST UK GB ENGLAND",
    "Europe/Dublin": "IE IRELAND",
    "Europe/Berlin": "CET CEST MEZ DE GERMANY",
    "Asia/Kolkata": "IST IN INDIA",
    "Asia/Manila": "PHT PH",
}
_UNCLEAR = {
    word: f"Did you mean {zone}? '{word}' alone says nothing about daylight saving time or the place."
    for zone, words in _PLACES.items()
    for word in words.split()
} | dict.fromkeys(("US", "USA"), f"It has several: write {_UNITED_STATES}, or another city of the client's.")
"""What people write for a place; by it nothing is guessed, for the clock decides when files are late."""
_BY_HOURS = {
    -10: ("Pacific/Honolulu",),
    -8: ("America/Los_Angeles",),
    -7: ("America/Denver", "America/Los_Angeles"),
    -6: ("America/Chicago", "America/Denver"),
    -5: ("America/New_York", "America/Chicago"),
    -4: ("America/New_York", "America/Puerto_Rico"),
    0: ("Europe/London", "UTC"),
    1: ("Europe/Berlin", "Europe/London"),
    2: ("Europe/Berlin",),
}
"""Places that have, in winter or in summer, so many hours."""


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix")))


def _check_zone(value: str) -> str:
    if value == "UTC" or value in _zones():
        ZoneInfo(value)
        return value
    if value.upper() in _UNCLEAR:
        raise refusal(_A_ZONE, _UNCLEAR[value.upper()])
    if offset := re.fullmatch(r"(?:UTC|GMT)?([+-])0?(\d{1,2})(?::?(\d\d))?", value.upper()):
        hours = int(f"{offset[1]}{offset[2]}")
        places = " or ".join(_BY_HOURS.get(hours, ()))
        hint = f" For this one write {places}, if that is the place." if places else ""
        raise refusal(
            _A_ZONE, f"A number of hours says nothing about daylight saving time: name a city of the client's.{hint}"
        )
    by_city = {zone.rpartition("/")[2].lower(): zone for zone in sorted(_zones(), reverse=True)}
    city = value[:100].rpartition("/")[2].lower().replace(" ", "_")
    near = difflib.get_close_matches(city, by_city, n=1, cutoff=0.75) if len(city) > 4 else []
    hint = (
        f"Did you mean {by_city[near[0]]}?"
        if near
        else "An abbreviation such as CST says nothing about daylight saving time."
    )
    raise refusal(_A_ZONE, hint)


TimeZone = Annotated[str, AfterValidator(_check_zone), WithJsonSchema({"type": "string", "pattern": r"^(UTC|.+/.+)$"})]
