"""The one shape in which a destination's credential reaches the engine.

On a worker Airflow resolves the connection id; in the ECS container the same secret is read from Secrets Manager.
The engine sees only this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Secret:
    """What an Airflow connection id resolved to. Its ``repr`` shows the id and nothing else (R2.5)."""

    connection_id: str
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def outline(self) -> str:
        """What is in it, by name only, for messages."""
        parts = [name for name, value in (("a login", self.login), ("a password", self.password)) if value]
        names = sorted(shown_name(name) for name, value in self.extra.items() if value not in (None, "", {}))
        if names:
            parts.append(f"the extra {', '.join(names[:12])}{' and more' if len(names) > 12 else ''}")
        return " and ".join(parts) or "nothing usable"


def field_of(extra: Mapping[str, Any], names: Sequence[str], kinds: Sequence[str]) -> Any | None:
    """The first of those fields that is filled, under its short name or as ``extra__<kind>__<name>``.

    Airflow's forms wrote the long names until 2.3, and its hooks still read both.
    """
    for name in names:
        for full in (name, *(f"extra__{kind}__{name}" for kind in kinds)):
            value = extra.get(full)
            if value not in (None, "", {}):
                return value
    return None


def shown_name(name: object) -> str:
    """A field's name for a message; what does not look like one may be a value that slipped into its place."""
    text = str(name)
    plausible = len(text) <= 60 and text.replace("_", "").replace("-", "").isascii() and " " not in text
    return repr(text) if plausible and text.replace("_", "").replace("-", "").isalnum() else "(an odd name)"


def parsed(text: str) -> Any | None:
    """What the JSON says, also where it was made JSON twice, or escaped as for a string; None if it is not JSON."""
    value: Any = text.replace("\ufeff", "").strip()
    for _ in range(3):
        if not isinstance(value, str):
            return value
        try:
            # Not strict: a key's newlines may stand in a string as they are.
            value = json.loads(value, strict=False)
        except ValueError:
            if not value.lstrip().startswith(r"{\""):
                return None
            try:
                value = json.loads(f'"{value}"', strict=False)
            except ValueError:
                return None
    return None if isinstance(value, str) else value
