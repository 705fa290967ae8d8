"""Text that others wrote (file names, error texts), made safe to show: it is displayed, never obeyed (R7.4)."""

from __future__ import annotations

import re

_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@＝＋－＠])")  # noqa: RUF001 — spreadsheets in East Asian locales take the wide forms
"""Where a spreadsheet could begin a formula. At ``;`` too: half of Europe's spreadsheets end a cell there."""


def printable(text: str) -> str:
    """``text`` on one line, with line breaks, control, invisible and direction-changing characters as escapes.

    So a name can neither add a line to a header or a plain-text e-mail nor show itself as another name.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def elided(text: str, limit: int) -> str:
    """``text``, with its middle left out if it is longer than ``limit`` characters: a name's end tells as much."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 1]}…{text[-tail:]}"


def spreadsheet_cell(text: str) -> str:
    """``text`` as a spreadsheet shows it and does not compute it."""
    return _FORMULA.sub(r"\1'", printable(text))
