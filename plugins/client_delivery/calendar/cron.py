"""Cron expressions: recognises one, right or wrong, and says what is wrong with it, field by field."""

from __future__ import annotations

import re

_FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day", "1 to 31"),
    ("month", "1 to 12, or JAN to DEC"),
    ("weekday", "0 to 7, or SUN to SAT"),
)
_WORD = r"[0-9*/,#?LW-]+|(?:[A-Za-z]{3}(?:[-,#][A-Za-z0-9]{1,3})*)"


def looks_like_cron(text: str) -> bool:
    """Whether a cron expression is meant, right or wrong."""
    words = text.split()
    return len(words) >= 4 and text[0] in "*0123456789" and all(re.fullmatch(_WORD, word) for word in words)


def cron_trouble(expression: str) -> str:
    """What is wrong with it, as a sentence; empty if it has a next time."""
    words = expression.split()
    if len(words) in (6, 7):
        return f"It has {len(words)} fields, but seconds and years have none. Write five."
    if len(words) != len(_FIELDS):
        return f"It has {len(words)} field{'' if len(words) == 1 else 's'}, but needs five."
    for number, (name, accepted) in enumerate(_FIELDS):
        # A day of the week or month that every other field allows to come.
        alone = " ".join(words[number] if at == number else "*" for at in range(len(_FIELDS)))
        if not _comes(alone):
            return f"The {name} is {words[number]!a}, but must be {accepted}."
    return "" if _comes(expression) else "The date never comes."


def _comes(expression: str) -> bool:
    # Costs some 20 ms of a DAG file's parse time, and most configurations keep the default.
    from croniter import croniter

    try:
        croniter(expression).get_next()
    except ValueError:  # every error of croniter's is one
        return False
    return True
