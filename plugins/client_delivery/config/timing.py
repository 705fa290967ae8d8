"""When a client with a wrong file is due: a mistake in one field is no reason for another schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from client_delivery.config.schedule import DEFAULT_SCHEDULE, CronSchedule
from client_delivery.config.timezones import TimeZone


@dataclass(frozen=True, slots=True)
class Timing:
    """When a configuration is due."""

    schedule: str | None
    """A cron expression; None for by hand only, or paused."""
    timezone: str = "UTC"
    """By whose clock."""


def timing_of(fields: Mapping[str, Any]) -> Timing | None:
    """What these fields of a file say; None if they are wrong themselves."""
    paused = fields.get("paused", False)
    if not isinstance(paused, bool):
        return None
    try:
        schedule: str | None = TypeAdapter(CronSchedule | None).validate_python(
            fields.get("schedule", DEFAULT_SCHEDULE)
        )
        timezone: str = TypeAdapter(TimeZone).validate_python(fields.get("timezone", "UTC"))
    except ValidationError:
        return None
    return Timing(None if paused else schedule, timezone)
