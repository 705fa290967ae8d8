"""The file that a recipient puts back for each one that has arrived: what it is called, and by when it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from string import Formatter
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from client_delivery.config import durations
from client_delivery.config.destinations import Section
from client_delivery.config.name_template import MOST_CHARACTERS, check
from client_delivery.config.refusal import refusal

FIELDS: Mapping[str, str] = {
    "client": "the client H number",
    "feed": "the configuration's `feed`",
    "delivered": "the whole name at the destination, folders included",
    "folder": "its folders, with a '/' at the end; empty if it has none",
    "name": "the name at the destination without folders, and without the suffixes of compression and encryption",
    "stem": "that name up to its last '.'",
    "ext": "the rest, with the '.'; empty if there is none",
}
"""Every field of a pattern, and what it stands for."""
_OF_ONE_FILE = ("delivered", "name", "stem")
_WITH_SLASHES = ("delivered", "folder")
_MOST_WILDCARDS = 3
_WILD = {"*": "[^/]*", "?": "[^/]"}
_CASES: Mapping[str, Callable[[str], str]] = {"": str, "upper": str.upper, "lower": str.lower}
_UNITS = {"min": 60, "h": 3600, "days": 86_400, "day": 86_400}
_LONGEST = 30 * 86_400


def _check_pattern(value: str) -> str:
    check(value, {}, of=FIELDS)
    wild, fields = 0, set[str]()
    for literal, name, _, _ in Formatter().parse(value):
        before = wild
        wild += sum(literal.count(one) for one in _WILD)
        if wild and "/" in (literal if before else literal[_first_wild(literal) :]):
            raise refusal("'*' and '?' in the last part of the name", "Folders are named in full.")
        if name:
            fields.add(name)
            if wild and name in _WITH_SLASHES:
                raise refusal(f"{{{name}}} before any '*' or '?'", "It may have folders, which are named in full.")
    if not fields & set(_OF_ONE_FILE):
        raise refusal(
            "{delivered}, {name} or {stem} in it", "Otherwise one acknowledgement would be taken for every file's."
        )
    if wild > _MOST_WILDCARDS:
        raise refusal(f"at most {_MOST_WILDCARDS} of '*' and '?'")
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise refusal("a name below the destination", "Leave out '/' at its ends, '.' and '..'.")
    return value


def _first_wild(literal: str) -> int:
    return min((literal.index(one) for one in _WILD if one in literal), default=len(literal))


def _check_place(value: str) -> str:
    if not value.isprintable() or any(part in ("..", "") for part in value.strip("/").split("/")):
        raise refusal("a directory, or a prefix in the bucket, such as outbound/acks")
    return value


def _parse_within(value: Any) -> timedelta:
    return durations.parse(value, _UNITS, example="24 h")


def _check_within(value: timedelta) -> timedelta:
    if not 60 <= value.total_seconds() <= _LONGEST:
        raise refusal("1 min to 30 days")
    return value


def in_words(value: timedelta) -> str:
    """In the largest unit that it is a whole number of: ``24 h``."""
    minutes = int(value.total_seconds()) // 60
    if minutes % 1440 == 0 and minutes > 1440:
        return f"{minutes // 1440} days"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


class Acknowledgement(Section, title="Acknowledgement"):
    """The file that the recipient puts back for each one that has arrived."""

    pattern: Annotated[
        str,
        AfterValidator(_check_pattern),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}),
    ] = Field(
        title="Pattern",
        description="The acknowledgement's name, below the destination's directory or prefix. Fields in braces are "
        "filled in for each file: `client`, `feed`, `delivered` (the whole name at the destination), "
        "`folder`, `name`, `stem`, `ext`; `*` stands for any characters but '/', `?` for one.",
        examples=["acks/{stem}*.ack"],
    )
    within: Annotated[
        timedelta,
        BeforeValidator(_parse_within),
        AfterValidator(_check_within),
        PlainSerializer(in_words),
        WithJsonSchema({"type": "string", "pattern": f"^{durations.pattern_of(_UNITS)}$"}),
    ] = Field(
        default=timedelta(hours=24),
        title="Within",
        description="The longest time between the delivery and the acknowledgement, with its unit: `90 min`, `24 h`, "
        "`3 days`. After that, its absence is reported once, like late files.",
        examples=["24 h"],
    )
    place: (
        Annotated[
            str, AfterValidator(_check_place), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 500})
        ]
        | None
    ) = Field(
        default=None,
        max_length=500,
        title="Place",
        description="The place where it is put, if not below the destination's own directory or prefix: another "
        "directory on the same server, another prefix in the same bucket.",
        examples=["/outbound/acks"],
    )

    @property
    def directory(self) -> str:
        """The one in which, or below which, all of them are, as far as it is the same for all: with a ``/`` at the end,
        or empty."""
        fixed = next(iter(Formatter().parse(self.pattern)))[0]
        directory, slash, _ = fixed.rpartition("/")
        return directory + slash

    def awaited(self, *, client: str, feed: str, delivered: str, plain: str) -> Awaited:
        """What the acknowledgement of one file is called.

        :param delivered: the file's name at the destination. Untrusted, as is the next.
        :param plain: the same without the suffixes of compression and encryption.
        """
        folder, slash, base = plain.rpartition("/")
        stem, dot, ext = base.rpartition(".")
        if not stem:
            stem, dot, ext = base, "", ""
        values = {
            "client": client,
            "feed": feed,
            "delivered": delivered,
            "folder": folder + slash,
            "name": base,
            "stem": stem,
            "ext": dot + ext,
        }
        head, tail, wild, shown = "", "", False, ""
        for literal, name, how, _ in Formatter().parse(self.pattern):
            at = 0 if wild else _first_wild(literal)
            head += literal[:at]
            wild = wild or at < len(literal)
            tail += "".join(_WILD.get(one) or re.escape(one) for one in literal[at:])
            value = _CASES[how or ""](values[name]) if name else ""
            shown += literal + value
            head, tail = (head, tail + re.escape(value)) if wild else (head + value, tail)
        directory, slash, begins = head.rpartition("/")
        return Awaited(directory + slash, begins, re.compile(tail) if wild else None, shown)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What one acknowledgement is called."""

    directory: str
    """Below the place, with a ``/`` at the end; empty for the place itself."""
    begins: str
    """What its name in there begins with; the whole name if there is no :attr:`rest`."""
    rest: re.Pattern[str] | None
    """What the rest of its name is like."""
    words: str
    """All of it, for people, with ``*`` and ``?`` as they were written."""

    def is_called(self, name: str) -> bool:
        """Whether a file of that name, without its directory, is such a one."""
        if self.rest is None:
            return name == self.begins
        return name.startswith(self.begins) and self.rest.fullmatch(name, len(self.begins)) is not None
