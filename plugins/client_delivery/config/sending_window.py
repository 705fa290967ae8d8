"""`window`: the hours in which sending may begin, by the client's clock."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema

from client_delivery.calendar.business_days import BusinessDays
from client_delivery.calendar.window import Window
from client_delivery.config.mapping import refuse_split, section_fields
from client_delivery.config.refusal import refusal

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_BUSINESS = "business days"
_A_CLOCK = 'a time of day in quotes, such as "06:00"'
_SOME_DAYS = f"days such as mon-fri, or mon,wed,fri, or {_BUSINESS}"


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
    refuse_split(value, "days", {"from", "to", "days"})
    hint = 'Write for example `window: {from: "06:00", to: "22:00", days: mon-fri}`.'
    fields = section_fields(value, {"from", "to", "days"}, "`from`, `to` and, if it is not every day, `days`", hint)
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
