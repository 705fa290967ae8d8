"""The YAML parser's complaints in a person's words."""

from __future__ import annotations

import yaml

from client_delivery.config.problem import Problem

# The parser's words (never a part of the file), and what they mean to someone who does not write parsers.
_MEANINGS: dict[str, tuple[str, str, str]] = {
    "mapping values are not allowed in this context": (
        "a ':' where no field can begin",
        "one `field: value` per line",
        "Put a value that contains ': ' in quotes, and check the indentation of this line and the one before.",
    ),
    "could not find expected ':'": (
        "a line without ':'",
        "`field: value`",
        "Check this line and the one before: a missing ':' or a wrong indentation.",
    ),
    "did not find expected key": (
        "a line that does not fit the ones before",
        "`field: value`, indented like its neighbours",
        "Check the indentation, and quotation marks inside a value.",
    ),
    "did not find expected '-' indicator": (
        "a line that does not fit the list before it",
        "`- item`, indented like its neighbours",
        "Check the indentation.",
    ),
    "did not find expected ',' or ']'": ("a list whose '[' is not closed", "',' or ']'", ""),
    "did not find expected ',' or '}'": ("a mapping whose '{' is not closed", "',' or '}'", ""),
    "found unexpected end of stream": ("the end of the file inside quotation marks", "the closing mark", ""),
    "found unexpected document indicator": ("'---' or '...' inside quotation marks", "the closing mark", ""),
    "block sequence entries are not allowed in this context": (
        "a '-' where no list can begin",
        "each `- item` on a separate line below the field",
        "",
    ),
}


def explain_syntax_error(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """The problem behind the parser's ``error`` on ``text``. The file's text itself is not repeated in it (R2.5)."""
    words = str(getattr(error, "problem", ""))
    opened = getattr(error, "context_mark", None)
    mark = getattr(error, "problem_mark", None) or opened
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.splitlines()
    rest = lines[line][column:] if line < len(lines) else ""
    indentation = lines[line][: len(lines[line]) - len(lines[line].lstrip())] if line < len(lines) else ""

    if opened and getattr(error, "context", None) in ("while scanning an alias", "while scanning an anchor"):
        line, column = opened.line, opened.column
        found, expected, hint = _start_of_value(lines[line][column])
    elif "\t" in indentation or rest.startswith("\t"):
        found, expected, hint = "a tab in the indentation", "spaces", "Replace each tab with two spaces."
    elif "cannot start any token" in words and rest:
        found, expected, hint = _start_of_value(rest[0])
    else:
        found, expected, hint = _MEANINGS.get(
            words, ("text that is not YAML", "`field: value` lines", "Check the line before as well.")
        )
    if not hint and opened:
        hint = f"It was opened on line {opened.line + 1}."
    return Problem(file, line + 1, column + 1, "", found, expected, hint)


def _start_of_value(character: str) -> tuple[str, str, str]:
    hint = f"Put it in quotes: YAML gives '{character}' a special meaning."
    return f"a value that begins with '{character}'", "a value in quotes", hint
