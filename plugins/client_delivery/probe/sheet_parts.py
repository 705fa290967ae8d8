"""What a partner's page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FILL_IN = "**to be filled in**"
"""Stands where nobody here knows the value. The command names these places."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What the configuration does not say."""

    addresses: Sequence[str] = ()
    """From which deliveries come."""
    roles: Sequence[str] = ()
    """ARNs of our AWS roles."""
    public_key: str = ""
    """``<type> <base64>`` of the key that we log in with."""
    by_password: bool = False
    """Whether we log in with a password that the partner gave us."""
    account: str = ""
    """Our service account at Google."""
    call: str = ""
    """Whom to call: a name and a number."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a sheet; the first row is its head."""

    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is below it."""

    title: str
    parts: Sequence[str | Table]
