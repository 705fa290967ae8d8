"""What is wrong with a configuration file, for the person who has to fix it (R2.6, R2.8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

SHOWN_CHARACTERS = 60
"""A value in a message is cut after this many characters."""

HIDDEN = "a value that is not shown, because it looks like a credential"

# Values that are credentials whatever the field is called (R2.5). They are refused wherever they stand, and no
# message ever repeats one. Repetitions are bounded, so that no text is slow to search.
_CREDENTIAL = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"  # PEM: OpenSSH, PKCS#1, PKCS#8, EC, DSA
    r"|PuTTY-User-Key-File"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access key id
    r"|[\"']type[\"']\s{0,9}:\s{0,9}[\"']service_account[\"']"  # Google service-account key
    r"|\bAIza[0-9A-Za-z_-]{35}"  # Google API key
    r"|\bya29\.[0-9A-Za-z_-]{20}"  # Google access token
    r"|\beyJ[0-9A-Za-z_-]{10,500}\.eyJ[0-9A-Za-z_-]{10}"  # JSON web token
)
_USER_AND_PASSWORD = re.compile(r"(?<![^\s/'\"])(?!mailto:)[^\s/:@'\"]{1,100}:[^\s/@]{1,200}@[^\s/@]")


def credential_position(text: str) -> int | None:
    """Where in ``text`` something stands that is a credential wherever it is found, or None."""
    match = _CREDENTIAL.search(text)
    return match.start() if match else None


def looks_like_credential(value: str) -> bool:
    """Whether the value of a field is, or holds, a credential: a key, a token, ``user:password@host``."""
    return bool(_CREDENTIAL.search(value) or _USER_AND_PASSWORD.search(value))


def quoted(text: str) -> str:
    """``text`` in quotation marks: shortened, control and invisible characters escaped, a credential never shown."""
    if looks_like_credential(text):
        return HIDDEN
    cut = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    return f"'{visible(cut)}'"


def visible(text: str) -> str:
    """``text`` with control, invisible and unencodable characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: Any) -> str:
    """A value of a configuration as a message names it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int() | float():
            return str(value)
        case dict():
            return "a mapping"
        case _:
            return "a list"


def write(text: str) -> str:
    """The hint ``Write 'text'.``, or nothing where ``text`` cannot be shown whole."""
    return f"Write '{text}'." if quoted(text) == f"'{text}'" else ""


def field_path(path: Iterable[str | int]) -> str:
    """The path of a field as a message names it: ``pickup.prefix``, ``contacts[1]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            # A name is data as well: someone may have pasted anything before a colon.
            plain = re.fullmatch(r"[A-Za-z0-9_-]{1,40}", part)
            name = "…" if looks_like_credential(part) else part if plain else quoted(part)
            text += f".{name}" if text else name
    return text


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where, and what to do about it."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    field: str
    """``pickup.prefix``; empty where the whole file is meant."""
    found: str
    expected: str
    hint: str = ""

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {field}found {self.found}, expected {self.expected}.{hint}"


class ConfigError(Exception):
    """A configuration file cannot be used. ``str()`` gives every problem, one per line, in the file's order."""

    def __init__(self, problems: Iterable[Problem], omitted: int = 0) -> None:
        self.problems = sorted(problems, key=lambda p: (p.line, p.column))
        self.omitted = omitted
        """Further problems of the same file, left out so that the message stays readable."""
        super().__init__(self.problems, omitted)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        if self.omitted:
            lines.append(f"{self.problems[0].file}: and {self.omitted} more problems, not shown. Fix these first.")
        return "\n".join(lines)
