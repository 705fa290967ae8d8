"""A client's clock and calendar: time zone, days off, hours in which sending may begin, files that are expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from client_delivery.calendar.business_days import BusinessDays, UnknownCalendar, check_calendar
from client_delivery.calendar.due import EVERY, EXAMPLES, NotUnderstood, understood
from client_delivery.calendar.expectation import Expectation
from client_delivery.calendar.window import Window
from client_delivery.config.patterns import check_pattern
from client_delivery.config.problem import quoted, shown
from client_delivery.config.refusal import refusal

MOST_EXPECTATIONS = 20
_LONGEST_SHOWN = 60
MOST_FILES = 100_000
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BUSINESS = "business days"
_A_CLOCK = 'a time of day in quotes, such as "06:00"'
_SOME_DAYS = f"days such as mon-fri, or mon,wed,fri, or {_BUSINESS}"
_A_HOLIDAY = "a country or region whose public holidays apply, such as US or US-TX"


# -- days off ----------------------------------------------------------------------------------------------------------


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
    if isinstance(value, Holidays):
        return value
    if isinstance(value, str):
        return Holidays(calendar=_calendar(value, ()))
    fields = _fields(value, {"calendar", "dates"}, _A_HOLIDAY, "Write for example `holidays: US`.")
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
    if isinstance(value, date):
        return value
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


# -- hours in which sending may begin ----------------------------------------------------------------------------------


class SendingWindow(BaseModel):
    """Hours of the client's clock."""

    model_config = ConfigDict(frozen=True)

    begin: str = Field(serialization_alias="from")
    until: str = Field(serialization_alias="to")
    days: str | None = None

    def window(self, zone: str, days: BusinessDays) -> Window:
        """The same, by a time zone and a calendar."""
        return Window(
            time.fromisoformat(self.begin),
            time.fromisoformat(self.until),
            _weekdays(self.days),
            self.days == _BUSINESS,
            zone,
            days,
        )


def _check_window(value: Any) -> SendingWindow:
    if isinstance(value, SendingWindow):
        return value
    _refuse_split(value, "days", {"from", "to", "days"})
    hint = 'Write for example `window: {from: "06:00", to: "22:00", days: mon-fri}`.'
    fields = _fields(value, {"from", "to", "days"}, "`from`, `to` and, if it is not every day, `days`", hint)
    for name, example in (("from", "06:00"), ("to", "22:00")):
        if name not in fields:
            other = "no begin" if name == "from" else "no end"
            raise refusal(f"`{name}` beside it", f'Write for example `{name}: "{example}"`.', found=other)
        if not isinstance(fields[name], str) or not _CLOCK.fullmatch(fields[name]):
            raise refusal(_A_CLOCK, _clock_hint(fields[name]), at=(name,))
    if fields["from"] == fields["to"]:
        raise refusal("a time other than `from`", "Leave `window` out if sending may begin at any time.", at=("to",))
    days = fields.get("days")
    if days is not None and (not isinstance(days, str) or not _weekdays(days)):
        raise refusal(_SOME_DAYS, at=("days",))
    return SendingWindow(begin=fields["from"], until=fields["to"], days=days)


def _clock_hint(value: Any) -> str:
    """What a time of day was meant to be."""
    text = str(value).strip().lower()
    if re.fullmatch(r"24(:00)?", text):
        return 'Midnight is "00:00", the end of a day as well: a window may go past midnight.'
    match = re.fullmatch(r"(\d{1,2})(?:[:.](\d\d))?(?: ?([ap])\.?m\.?| ?h)?", text)
    if match is None:
        return ""
    hour = int(match[1]) % 12 + 12 * (match[3] == "p") if match[3] else int(match[1])
    written = f"{hour:02d}:{match[2] or '00'}"
    return f'Write "{written}".' if _CLOCK.fullmatch(written) else ""


def _weekdays(text: str | None) -> frozenset[int]:
    """The days of a window; none if they are not understood."""
    if text is None or text == _BUSINESS:
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last and last not in _DAYS):
            return frozenset()
        begin, length = _DAYS.index(first), (_DAYS.index(last) - _DAYS.index(first)) % 7 if last else 0
        found |= {(begin + number) % 7 for number in range(length + 1)}
    return frozenset(found)


WindowField = Annotated[
    SendingWindow,
    PlainValidator(_check_window),
    PlainSerializer(lambda value: value.model_dump(by_alias=True, exclude_none=True)),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "from": {"type": "string", "pattern": f"^{_CLOCK.pattern}$"},
                "to": {"type": "string", "pattern": f"^{_CLOCK.pattern}$"},
                "days": {"type": "string"},
            },
            "required": ["from", "to"],
            "additionalProperties": False,
        }
    ),
]


# -- files that are expected -------------------------------------------------------------------------------------------


class Expected(BaseModel):
    """One expectation, as the file has it."""

    model_config = ConfigDict(frozen=True)

    files: str
    by: str
    every: Literal["day", "business day", "week", "month", "quarter", "year"] | None = None
    at_least: int = 1

    def expectation(self, zone: str, days: BusinessDays) -> Expectation:
        """The same, by a time zone and a calendar."""
        return Expectation(self.files, self.at_least, understood(self.by, self.every, zone=zone, days=days))


def _check_expected(value: Any) -> tuple[Expected, ...]:
    if not isinstance(value, list | tuple):
        raise refusal("a list", 'Write for example `- {files: "elig_*.csv", by: "monthly, business day 5, 18:00"}`.')
    if len(value) > MOST_EXPECTATIONS:
        raise refusal(f"at most {MOST_EXPECTATIONS}", found=f"{len(value)} items")
    found = tuple(_check_one(one, number) for number, one in enumerate(value))
    lines = [(one.files, understood(one.by, one.every).rule) for one in found]
    for number, line in enumerate(lines):
        if line in lines[:number]:
            hint = (
                f"It says the same as `expected[{lines.index(line)}]`: remove one of them, or correct `files` or `by`."
            )
            raise refusal("each expectation once", hint, found=f"{quoted(line[0])} by {line[1]!r} again", at=(number,))
    return found


def _check_one(value: Any, number: int) -> Expected:
    if isinstance(value, Expected):
        return value
    _refuse_split(value, "by", {"files", "by", "every", "at_least"}, (number,))
    forms = "`files`, `by` and, where they are needed, `every` and `at_least`"
    fields = _fields(value, {"files", "by", "every", "at_least"}, forms, "", (number,))
    for name in ("files", "by"):
        if not isinstance(fields.get(name), str):
            raise refusal("text in quotes", _example_of(name), at=(number, name))
    try:
        check_pattern(fields["files"])
    except PydanticCustomError as error:
        told = error.context or {}
        raise refusal(told["expected"], told["hint"], found=told.get("found"), at=(number, "files")) from error
    at_least = fields.get("at_least", 1)
    if type(at_least) is not int or not 1 <= at_least <= MOST_FILES:
        raise refusal(f"a number from 1 to {MOST_FILES}", at=(number, "at_least"))
    every = fields.get("every")
    if every is not None and every not in EVERY:
        raise refusal(f"one of {', '.join(EVERY)}", at=(number, "every"))
    try:
        understood(fields["by"], every).after(datetime.now(UTC))
    except NotUnderstood as error:
        raise refusal(f"a due time such as {quoted(EXAMPLES[3])}", str(error), at=(number, "by")) from error
    return Expected(files=fields["files"], by=fields["by"], every=every, at_least=at_least)


def _example_of(name: str) -> str:
    examples = {"files": 'files: "elig_*.csv"', "by": f'by: "{EXAMPLES[3]}"'}
    return f"Write for example `{examples[name]}`."


ExpectedField = Annotated[
    tuple[Expected, ...],
    PlainValidator(_check_expected),
    PlainSerializer(lambda value: [one.model_dump(exclude_defaults=True) for one in value]),
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": MOST_EXPECTATIONS,
            "items": {
                "type": "object",
                "properties": {
                    "files": {"type": "string", "minLength": 1, "maxLength": 256},
                    "by": {"type": "string"},
                    "every": {"enum": list(EVERY)},
                    "at_least": {"type": "integer", "minimum": 1, "maximum": MOST_FILES},
                },
                "required": ["files", "by"],
                "additionalProperties": False,
            },
        }
    ),
]


def _refuse_split(value: Any, name: str, known: set[str], at: tuple[str | int, ...] = ()) -> None:
    """Refuses a text that YAML has cut at its commas: between braces, without quotes, each piece becomes a field."""
    if not isinstance(value, Mapping):
        return
    pieces = [str(one) for one, of in value.items() if one not in known and of is None]
    if pieces and len(pieces) == len([one for one in value if one not in known]) and isinstance(value.get(name), str):
        whole = ", ".join([value[name], *pieces])
        hint = "Between braces a comma ends a text that is not in quotes."
        if len(whole) <= _LONGEST_SHOWN and whole.isprintable() and '"' not in whole:
            hint = f'{hint} Write `{name}: "{whole}"`.'
        raise refusal("text in quotes", hint, found=shown(value[name]), at=(*at, name))


def _fields(value: Any, known: set[str], accepted: str, hint: str, at: tuple[str | int, ...] = ()) -> Mapping[str, Any]:
    """The fields of a section that is checked here; refuses what is none, and unknown ones."""
    if not isinstance(value, Mapping):
        raise refusal(accepted, hint, at=at)
    if unknown := [name for name in value if name not in known]:
        near = difflib.get_close_matches(str(unknown[0])[:100], sorted(known), n=1)
        said = f"Did you mean `{near[0]}`?" if near else ""
        raise refusal(f"one of {', '.join(sorted(known))}", said, found=f"an unknown field {shown(unknown[0])}", at=at)
    return value
