"""When a configuration runs (R4.1)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated
from zlib import crc32

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.calendar.cron import cron_trouble, looks_like_cron
from client_delivery.config.problem import write
from client_delivery.config.refusal import refusal

DEFAULT_SCHEDULE = "H/15 * * * *"
"""Every 15 minutes, from a minute on that follows from the configuration's name."""
_EVERY_QUARTER = "*/15 * * * *"

_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_SPREAD = re.compile(r"H(?:/([0-9]{1,2}))?")
"""A minute that follows from the name, alone or with a step. Jenkins has the letter for the same purpose
(https://www.jenkins.io/doc/book/pipeline/syntax/#cron-syntax)."""
_STEPS = tuple(step for step in range(2, 31) if 60 % step == 0)
"""Others would leave a gap of another length at the end of each hour."""
_EXPECTED_CRON = "a cron expression of five fields (minute hour day month weekday), such as */15 * * * *"


_trouble = lru_cache(maxsize=256)(cron_trouble)


def _check_schedule(value: str) -> str:
    if value in _PRESETS:
        raise refusal(_EXPECTED_CRON, write(_PRESETS[value]))
    if value.lower() in ("none", "manual", "never", "off"):
        raise refusal(_EXPECTED_CRON, "Write null (without quotes) for runs by hand only.")
    if value in (DEFAULT_SCHEDULE, _EVERY_QUARTER):
        return value
    if not re.fullmatch(r"[0-9A-Za-z*/,#?-]+( [0-9A-Za-z*/,#?-]+){4}", value) or len(value) > 200:
        one_space = " ".join(value.split())
        if len(value) <= 200 and looks_like_cron(value):
            raise refusal(_EXPECTED_CRON, cron_trouble(value) or write(one_space))
        raise refusal(_EXPECTED_CRON, "For example '0 6 * * *' is every day at 06:00, '0 6 * * 1-5' Monday to Friday.")
    if re.search(r"(?i)(?<![a-z])h(?![a-z])", value) and not _is_spread(value):
        steps = ", ".join(map(str, _STEPS))
        raise refusal(
            _EXPECTED_CRON,
            f"H stands for the minute only: H, or H/n with n one of {steps}. The minute then follows from the name.",
        )
    if trouble := _trouble(spread_by(value, "")):
        raise refusal(_EXPECTED_CRON, trouble)
    return value


def _is_spread(value: str) -> bool:
    minute, rest = value.split(" ", 1)
    spread = _SPREAD.fullmatch(minute)
    known = spread is not None and (spread[1] is None or int(spread[1]) in _STEPS)
    return known and not re.search(r"(?i)(?<![a-z])h(?![a-z])", rest)


def spread_by(schedule: str, name: str) -> str:
    """The schedule as a plain cron expression: ``H`` becomes a minute that follows from ``name``, always the same.

    Where all clients looked at the same minute, the last would wait for the first.
    """
    minute, rest = schedule.split(" ", 1)
    if not (spread := _SPREAD.fullmatch(minute)):
        return schedule
    step = int(spread[1] or 60)
    first = crc32(name.encode()) % step
    if step == 60:
        return f"{first} {rest}"
    return f"{first}-59/{step} {rest}" if first else f"*/{step} {rest}"


CronSchedule = Annotated[
    str, AfterValidator(_check_schedule), WithJsonSchema({"type": "string", "pattern": r"^\S+( \S+){4}$"})
]
