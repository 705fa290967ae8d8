"""The name of a file at the destination, where it differs from its own: ``deliver_as`` and ``name_pattern``.

A template is text with fields in braces, from a closed set. :meth:`string.Formatter.parse` only splits it, and
:func:`render` fills it in: ``str.format`` would let a template reach into the objects that it is given
(https://docs.python.org/3/library/string.html#format-string-syntax, ``{0.attribute}``). The result is checked as
any other name is, by :mod:`client_delivery.transfer.naming` (R6.8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.config.problem import quoted
from client_delivery.config.refusal import refusal

MOST_CHARACTERS = 300
SEQUENCES = ("sequence", "daily_sequence")
"""Fields that count: the ledger hands their numbers out."""
FIELDS: Mapping[str, str] = {
    "client": "the client H number",
    "feed": "the configuration's `feed`",
    "path": "the whole name below the pick-up's prefix, folders included",
    "folder": "its folders, with a '/' at the end; empty if it has none",
    "name": "its name without folders",
    "stem": "the name up to its last '.'",
    "ext": "the rest, with the '.'; empty if there is none",
    "date": "when the run registered the file",
    "source_date": "when the file came into the pick-up",
    "sequence": "1 for the first file of the client, and one more for each file after that",
    "daily_sequence": "the same, from 1 each day",
    "done_file": "the first line of the done file with which the file came",
}
"""Every field, and what it stands for; beside them are the groups of ``name_pattern``."""
ADDED_LATER = ("done_file",)
"""Fields younger than ``name_pattern``: a group of the same name, of a file of before, still stands for itself."""
DATED = ("date", "source_date")
_DIRECTIVES = ["%Y", "%y", "%m", "%d", "%j", "%H", "%M", "%S"]
"""None that goes by a language."""
_DATE = re.compile(r"(?:[^%{}]|%[YymdjHMS])*")
_WIDTH = re.compile("0[1-9]|")
_CASES: Mapping[str, Callable[[str], str]] = {"": str, "upper": str.upper, "lower": str.lower}
_MOST_REPETITIONS = 5
_LONGEST_NAME = 255
"""Characters of a name that a pattern is tried on."""
MOST_DONE_FILE_BYTES = 1024
"""Of a done file that are read for its first line."""
_LONGEST_LINE = 200


class NameNotMade(Exception):
    """A file cannot be called as the configuration says. The message says why.

    :param remedy: what to do about it, where that is not to rename the file or to change the configuration.
    """

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(why)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Facts:
    """What the fields stand for, of one file."""

    name: str
    """Below the pick-up's prefix. Untrusted."""
    client: str
    date: datetime
    """In the client's time zone."""
    source_date: datetime
    """In the client's time zone."""
    feed: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Of ``name_pattern``. Untrusted."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Of the :data:`SEQUENCES` that the template has."""
    done_file: str | None = None
    """The first line of the done file. Untrusted; None if there was none."""

    def text(self, name: str) -> str:
        """What a field of text stands for. Raises :class:`NameNotMade` if nothing is known of it."""
        if name in self.groups:
            return self.groups[name]
        if name == "done_file":
            if self.done_file is None:
                raise NameNotMade("it came without a done file, whose first line deliver_as asks for", _DONE_FILE)
            return self.done_file
        folder, slash, base = self.name.rpartition("/")
        stem, dot, ext = base.rpartition(".")
        if not stem:
            stem, dot, ext = base, "", ""  # as in '.profile' and 'README'
        return {
            "client": self.client,
            "feed": self.feed,
            "path": self.name,
            "folder": folder + slash,
            "name": base,
            "stem": stem,
            "ext": dot + ext,
        }[name]


def fields_of(template: str) -> list[str]:
    """The fields that a template has."""
    return [name for _, name, _ in _parsed(template) if name]


def asks_for_done_file(template: str, groups: Container[str]) -> bool:
    """Whether the template has what the done file says; ``groups`` are those of ``name_pattern``, which go first."""
    return "done_file" in fields_of(template) and "done_file" not in groups


def render(template: str, facts: Facts) -> str:
    """The name by a template that :func:`check` has let pass. It is as untrusted as the file's own name."""
    return "".join(literal + _value(name, how, facts) for literal, name, how in _parsed(template))


def first_line(content: bytes) -> str:
    """What ``{done_file}`` stands for: the first line of a done file, without the white space around it.

    The line becomes part of a name, so it may not contain a folder. Raises :class:`NameNotMade`.

    :param content: the beginning of the done file, :data:`MOST_DONE_FILE_BYTES` of it.
    """
    start, newline, _ = content.partition(b"\n")
    line = start.decode("utf-8-sig", errors="replace").strip()
    if not line:
        wrong = "is empty"
    elif len(line) > _LONGEST_LINE or (not newline and len(content) >= MOST_DONE_FILE_BYTES):
        wrong = f"is longer than {_LONGEST_LINE} characters"
    elif "\N{REPLACEMENT CHARACTER}" in line:
        wrong = "is not UTF-8"
    elif not line.isprintable() or "/" in line or "\\" in line:
        wrong = "has a character that cannot be part of a name ('/', '\\' or a control character)"
    else:
        return line
    raise NameNotMade(f"the first line of the done file, which deliver_as asks for, {wrong}", _DONE_FILE)


def groups_of(pattern: str, name: str) -> dict[str, str]:
    """The groups of a pattern in a file's name, without its folders. Raises :class:`NameNotMade`."""
    base = name.rpartition("/")[2]
    match = re.fullmatch(pattern, base) if len(base) <= _LONGEST_NAME else None
    if match is None:
        raise NameNotMade(f"its name is not as name_pattern ({quoted(pattern)}) expects it")
    return {group: value or "" for group, value in match.groupdict().items()}


@lru_cache(maxsize=256)
def _parsed(template: str) -> tuple[tuple[str, str, str], ...]:
    """Text, the field after it, and how it is written; the last ones are empty at the end. Raises ValueError."""
    return tuple((literal, name or "", how or "") for literal, name, how, _ in Formatter().parse(template))


def _value(name: str, how: str, facts: Facts) -> str:
    if not name:
        return ""
    if name in SEQUENCES:
        return f"{facts.numbers[name]:{how}d}"
    if name in DATED:
        at = facts.date if name == "date" else facts.source_date
        return at.strftime(how or "%Y%m%d")
    return _CASES[how](facts.text(name))


def check(template: str, groups: Mapping[str, int], *, of: Iterable[str] = FIELDS) -> str:
    """The template itself. Raises a refusal that says what is wrong; ``groups`` are those of ``name_pattern``."""
    known = list(of)
    if not 1 <= len(template) <= MOST_CHARACTERS:
        raise refusal(f"a template of 1 to {MOST_CHARACTERS} characters, such as '{EXAMPLE}'")
    if not template.isprintable():
        raise refusal("a template without control or invisible characters", "Type it again instead of pasting it.")
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise refusal(
            "each field in braces of its own, such as {stem}", "Write {{ or }} for a brace itself."
        ) from error
    for _, name, how, conversion in parts:
        if name is None:
            continue
        if name not in known and name not in groups:
            raise refusal(
                f"fields of this set: {', '.join([*known, *groups])}",
                "Other parts of a name are named groups of `name_pattern`."
                if re.fullmatch("[a-z_]+", name) and name not in FIELDS
                else "",
                found=quoted(f"{{{name}}}"),
            )
        if conversion:
            raise refusal("a field without '!'", found=quoted(f"{{{name}!{conversion}}}"))
        _check_how(name, how or "")
    return template


def _check_how(name: str, how: str) -> None:
    """Whether the field may be written so."""
    found = quoted(f"{{{name}:{how}}}")
    if name in DATED:
        if not _DATE.fullmatch(how) or not how.isprintable():
            raise refusal(f"a date of {', '.join(_DIRECTIVES)}, such as {{{name}:%Y%m%d}}", found=found)
    elif name in SEQUENCES:
        if not _WIDTH.fullmatch(how):
            raise refusal(f"a number of 1 to 9 digits, such as {{{name}:03}}", found=found)
    elif how not in _CASES:
        raise refusal(f"nothing, upper or lower after ':', such as {{{name}:upper}}", found=found)


_DONE_FILE = (
    "Put a done file with the right first line into the pick-up, then trigger the DAG with 'Resend failed files'; or "
    "change the configuration first."
)
EXAMPLE = "{client}_{stem}_{date:%Y%m%d}_{sequence:03}{ext}"


def _check_pattern(value: str) -> str:
    if not 1 <= len(value) <= MOST_CHARACTERS:
        raise refusal(f"a pattern of 1 to {MOST_CHARACTERS} characters")
    try:
        compiled = re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise refusal(f"a regular expression ({getattr(error, 'msg', error)})") from error
    if not compiled.groupindex:
        raise refusal(
            "a pattern with named groups",
            r"Write for example '(?P<kind>[a-z]+)_[0-9]+\.csv': {kind} is then a field of `deliver_as`.",
        )
    if taken := [name for name in compiled.groupindex if name in FIELDS and name not in ADDED_LATER]:
        raise refusal("groups with names of their own", f"{taken[0]!r} is a field of `deliver_as` already.")
    # Names are untrusted: none may keep a task busy for ever. Without a repeated group no pattern takes more than a
    # power of the name's length, however it is written.
    repetitions = list(_repetitions(value))
    if ")" in repetitions:
        raise refusal("a pattern in which no group is repeated", "Repeat what is in the group instead.")
    if len(repetitions) > _MOST_REPETITIONS:
        raise refusal(f"at most {_MOST_REPETITIONS} of '*', '+' and '{{…}}' in a pattern")
    if re.search(r"\(\?(?!P<|:)|\\[1-9]|\(\?P=", value):
        raise refusal("a pattern of characters, classes, '*', '+', '?', '|' and groups, and nothing else")
    return value


def _repetitions(pattern: str) -> Iterator[str]:
    """What is before each ``*``, ``+`` and ``{…}``."""
    before, inside, escaped = "", False, False
    for char in pattern:
        if escaped:
            before, escaped = "\\", False
        elif char == "\\":
            escaped = True
        elif inside:
            inside = char != "]" or before in ("[", "[^")
            before = before + char if before == "[" and char == "^" else char
        elif char == "[":
            before, inside = "[", True
        elif char in "*+{":
            yield before
            before = char
        else:
            before = char


NameTemplate = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS})]
"""Checked by :func:`check` where the pattern's groups are known."""
NamePattern = Annotated[
    str,
    AfterValidator(_check_pattern),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}),
]
