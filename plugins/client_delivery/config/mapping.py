"""Sections that are checked field by field here and not by pydantic, which knows less of what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from client_delivery.config.problem import shown
from client_delivery.config.refusal import refusal

_LONGEST_SHOWN = 60


def refuse_split(value: Any, name: str, known: set[str], at: tuple[str | int, ...] = ()) -> None:
    """Refuses a text that YAML has cut at its commas: between braces, without quotes, each piece becomes a field."""
    if not isinstance(value, Mapping):
        return
    pieces = [str(one) for one, of in value.items() if one not in known and of is None]
    if pieces and len(pieces) == len([one for one in value if one not in known]) and isinstance(value.get(name), str):
        whole = ", ".join([value[name], *pieces])
        hint = "Between braces a comma ends a text that is not in quotes."
        if len(whole) <= _LONGEST_SHOWN and whole.isprintable() and '"' not in whole:
            hint = f'{hint} Write `{name}: "{whole}"`.'
        raise refusal("text in quotes", hint, found=shown(value[name]), at=(*at, name))


def section_fields(
    value: Any, known: set[str], accepted: str, hint: str, at: tuple[str | int, ...] = ()
) -> Mapping[str, Any]:
    """The fields of a section that is checked here; refuses what is none, and unknown ones."""
    if not isinstance(value, Mapping):
        raise refusal(accepted, hint, at=at)
    if unknown := [name for name in value if name not in known]:
        near = difflib.get_close_matches(str(unknown[0])[:100], sorted(known), n=1)
        said = f"Did you mean `{near[0]}`?" if near else ""
        raise refusal(f"one of {', '.join(sorted(known))}", said, found=f"an unknown field {shown(unknown[0])}", at=at)
    return value
