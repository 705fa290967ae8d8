"""`holidays`: the days on which a client does not work."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema

from client_delivery.calendar.business_days import BusinessDays, UnknownCalendar, check_calendar
from client_delivery.config.mapping import section_fields
from client_delivery.config.refusal import refusal

_A_HOLIDAY = "a country or region whose public holidays apply, such as US or US-TX"


class Holidays(BaseModel):
    """The days on which a client does not work, beside weekends."""

    model_config = ConfigDict(frozen=True)

    calendar: str | None = None
    dates: tuple[date, ...] = ()

    @property
    def days(self) -> BusinessDays:
        """The days that are left."""
        return BusinessDays(self.calendar, frozenset(self.dates))


def _check_holidays(value: Any) -> Holidays:
    if isinstance(value, str):
        return Holidays(calendar=_calendar(value, ()))
    fields = section_fields(value, {"calendar", "dates"}, _A_HOLIDAY, "Write for example `holidays: US`.")
    calendar = fields.get("calendar")
    dates = fields.get("dates", ())
    if not isinstance(dates, list | tuple):
        raise refusal("a list of dates such as 2026-12-24", at=("dates",))
    if calendar is None and not dates:
        raise refusal("`calendar`, `dates`, or both", "Leave `holidays` out if there are none.")
    return Holidays(
        calendar=None if calendar is None else _calendar(calendar, ("calendar",)),
        dates=tuple(_date(one, number) for number, one in enumerate(dates)),
    )


def _calendar(value: Any, at: tuple[str | int, ...]) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,4})?", value):
        raise refusal(_A_HOLIDAY, "It is the ISO 3166 code, in capitals.", at=at)
    try:
        check_calendar(value)
    except UnknownCalendar as error:
        raise refusal(_A_HOLIDAY, str(error), at=at) from error
    return value


def _date(value: Any, number: int) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise refusal("a date such as 2026-12-24", at=("dates", number)) from error


_HOLIDAYS_SCHEMA = {
    "type": "object",
    "properties": {
        "calendar": {"type": "string", "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,4})?$"},
        "dates": {"type": "array", "items": {"type": "string", "format": "date"}},
    },
    "minProperties": 1,
    "additionalProperties": False,
}
HolidaysField = Annotated[
    Holidays,
    PlainValidator(_check_holidays),
    PlainSerializer(lambda value: value.model_dump(mode="json", exclude_defaults=True)),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,4})?$"}, _HOLIDAYS_SCHEMA]}),
]
