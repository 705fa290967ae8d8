"""Times as people write them, with their unit: ``5 min``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from client_delivery.config.refusal import refusal


def pattern_of(units: Mapping[str, int]) -> str:
    """A regular expression for a whole number and one of these units."""
    return rf"([0-9]{{1,5}}) ?({'|'.join(units)})"


def parse(value: Any, units: Mapping[str, int], *, example: str) -> timedelta:
    """The time that a text says; anything else is refused with an example.

    :param units: each with its seconds.
    """
    match = re.fullmatch(pattern_of(units), value) if isinstance(value, str) else None
    if not match:
        raise refusal(f"a time with its unit, such as '{example}'", f"The units are {', '.join(units)}.")
    return timedelta(seconds=int(match[1]) * units[match[2]])
