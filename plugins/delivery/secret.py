"""The one shape in which a destination's credential reaches the engine.

On a worker Airflow resolves the connection id; in the ECS container the same secret is read from Secrets Manager.
The engine sees only this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Secret:
    """What an Airflow connection id resolved to. Its ``repr`` shows the id and nothing else (R2.5)."""

    connection_id: str
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
