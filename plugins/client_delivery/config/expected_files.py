"""`expected`: which files come by when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from client_delivery.calendar.business_days import BusinessDays
from client_delivery.calendar.due import EVERY, EXAMPLES, NotUnderstood, understood
from client_delivery.calendar.expectation import Expectation
from client_delivery.config.mapping import refuse_split, section_fields
from client_delivery.config.patterns import check_pattern
from client_delivery.config.problem import quoted
from client_delivery.config.refusal import refusal

MOST_EXPECTATIONS = 20
MOST_FILES = 100_000


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
    refuse_split(value, "by", {"files", "by", "every", "at_least"}, (number,))
    forms = "`files`, `by` and, where they are needed, `every` and `at_least`"
    fields = section_fields(value, {"files", "by", "every", "at_least"}, forms, "", (number,))
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
