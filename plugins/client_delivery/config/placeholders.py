"""What people write who expect that something is filled in: nothing is, and a path would be taken as it stands."""

from __future__ import annotations

import re

from client_delivery.config.refusal import refusal

_PLACEHOLDER = re.compile(
    r"\{\{|\}\}|\{%"  # Jinja, as elsewhere in Airflow
    r"|\$\{|\$\(|\$[A-Z_]{2,}\b"  # a shell's
    r"|%(?![0-9A-Fa-f]{2})[A-Za-z]"  # strftime's; %2F is how others write a slash
)


def refuse_placeholder(value: str, what: str) -> None:
    """Raise a refusal if ``value``, ``what`` of which is expected, holds a placeholder."""
    if found := _PLACEHOLDER.search(value):
        raise refusal(
            f"{what} without '{found[0]}'",
            "Nothing is filled in here: no dates, no variables. Patterns such as '*2026-*' go into the pick-up's "
            "`include`.",
        )
