"""Which files of a pick-up are taken: patterns with ``*``, ``?`` and ``[…]`` on the name below the prefix."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.config.placeholders import refuse_placeholder
from client_delivery.config.problem import quoted, write
from client_delivery.config.refusal import refusal

MAX_PATTERN_CHARACTERS = 256
_NAMED = 3
"""Patterns that a message shows."""


@lru_cache(maxsize=4096)
def matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """The compiled alternative of ``patterns``: case-sensitive, ``*`` crosses ``/`` as in :mod:`fnmatch`."""
    return re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)")


def check_pattern(value: str) -> str:
    """The pattern itself. Raises a refusal, with what to write instead."""
    if value == "":
        raise refusal("a pattern such as *.csv", "Remove this item, or write '*' for every file.")
    if len(value) > MAX_PATTERN_CHARACTERS:
        raise refusal(f"a pattern of at most {MAX_PATTERN_CHARACTERS} characters")
    if re.match("(?:s3|gs)://", value):
        raise refusal("a pattern for the name below the pick-up's prefix", "Leave the bucket and the prefix out.")
    if value.startswith("/"):
        raise refusal("a pattern that does not begin with '/'", write(value.lstrip("/")) if value.strip("/") else "")
    if value.startswith("!"):
        raise refusal("a pattern without '!' at its start", f"Write {quoted(value[1:])} under `exclude` instead.")
    refuse_placeholder(value, "a pattern")
    if _looks_like_regex(value):
        raise refusal(
            "a file-name pattern, not a regular expression",
            "'*' stands for any characters, '?' for one, '[0-9]' for one of a range: '.*\\.csv' is '*.csv' here.",
        )
    if re.search(r"\{[^{}]*,[^{}]*\}", value):
        raise refusal("a pattern without '{…,…}'", "Write one pattern for each, as items of the list.")
    if "**" in value:
        raise refusal("a pattern without '**'", f"'*' crosses '/' already. {write(_single_star(value))}")
    if not value.isprintable():
        raise refusal("a pattern without control or invisible characters", "Type it again instead of pasting it.")
    if value != value.strip():
        raise refusal("a pattern without spaces around it", write(value.strip()) if value.strip() else "")
    if _has_unclosed_bracket(value):
        raise refusal("a ']' for every '['", "Write '[[]' for the character '[' itself.")
    return value


def _looks_like_regex(value: str) -> bool:
    return (
        value.startswith(("^", ".*")) or value.endswith("$") or re.search(r"\\|\]\+|\)\?|\.\*\.|\|", value) is not None
    )


def _single_star(value: str) -> str:
    return re.sub(r"\*+", "*", re.sub(r"\*{2,}/", "*", value))


def _has_unclosed_bracket(value: str) -> bool:
    position = 0
    while (start := value.find("[", position)) >= 0:
        # As fnmatch reads it: '!' first negates, and ']' right after is a member, not the end.
        first = start + 1 + (value[start + 1 : start + 2] == "!")
        end = value.find("]", first + 1)
        if end < 0:
            return True
        position = end + 1
    return False


Pattern = Annotated[
    str,
    AfterValidator(check_pattern),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_PATTERN_CHARACTERS}),
]


def refuse_repeated_prefix(patterns: tuple[str, ...], prefix: str) -> None:
    """Raise a refusal for a pattern that repeats the pick-up's ``prefix``: it would match nothing."""
    for index, pattern in enumerate(patterns):
        if pattern.startswith(prefix):
            raise refusal(
                "a pattern for the name below the pick-up's prefix",
                f"Leave {quoted(prefix)} out." + (f" {write(rest)}" if (rest := pattern[len(prefix) :]) else ""),
                found=quoted(pattern),
                at=(index,),
            )


def refuse_not_taken(
    pattern: str, prefix: str, include: tuple[str, ...], exclude: tuple[str, ...], *, at: tuple[str | int, ...]
) -> None:
    """Raise a refusal for a ``pattern`` of files that a pick-up with these patterns would never take."""
    if pattern.startswith(prefix):
        rest = pattern[len(prefix) :]
        hint = f"Leave {quoted(prefix)} out." + (f" {write(rest)}" if rest else "")
        raise refusal("a pattern for the name below the pick-up's prefix", hint, found=quoted(pattern), at=at)
    hint = ""
    if not any(can_both_match(pattern, taken) for taken in include):
        more = f" and {len(include) - _NAMED} more" if len(include) > _NAMED else ""
        hint = f"The pick-up's `include` takes only {', '.join(map(quoted, include[:_NAMED]))}{more}."
    elif pattern in exclude:
        hint = f"The pick-up's `exclude` leaves {quoted(pattern)} out."
    if hint:
        raise refusal("a pattern for files that the pick-up takes", hint, found=quoted(pattern), at=at)


def can_both_match(one: str, other: str) -> bool:
    """Whether there is a name that both patterns match."""
    first, second = _tokens(one), _tokens(other)
    # From the end: whether what is left of both, from here on, can stand for the same characters.
    below = [set(second[beside:]) <= {"*"} for beside in range(len(second) + 1)]
    for at in reversed(range(len(first))):
        here = first[at]
        row = [set(first[at:]) <= {"*"}]
        for beside in reversed(range(len(second))):
            there = second[beside]
            nothing_more = (here == "*" and below[beside]) or (there == "*" and row[0])
            if nothing_more or here == there == "*":
                row.insert(0, nothing_more)
            else:
                rest = row[0] if here == "*" else below[beside] if there == "*" else below[beside + 1]
                row.insert(0, rest and _share(here, there))
        below = row
    return below[0]


def _tokens(pattern: str) -> list[str]:
    """``*``, ``?``, a set in brackets, or one character."""
    return re.findall(r"\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)


def _share(one: str, other: str) -> bool:
    """Whether there is a character that both tokens match; two sets are compared by the characters of ASCII."""
    if {one, other} & {"*", "?"}:
        return True
    candidates = one if len(one) == 1 else other if len(other) == 1 else map(chr, range(32, 127))
    return any(fnmatch.fnmatchcase(char, one) and fnmatch.fnmatchcase(char, other) for char in candidates)
