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
