"""When a configuration runs (R4.1)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.calendar.cron import cron_trouble, looks_like_cron
from client_delivery.config.problem import write
from client_delivery.config.refusal import refusal

DEFAULT_SCHEDULE = "*/15 * * * *"
"""Every 15 minutes, in UTC."""

_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_EXPECTED_CRON = "a cron expression of five fields (minute hour day month weekday), such as */15 * * * *"


_trouble = lru_cache(maxsize=256)(cron_trouble)


def _check_schedule(value: str) -> str:
    if value in _PRESETS:
        raise refusal(_EXPECTED_CRON, write(_PRESETS[value]))
    if value.lower() in ("none", "manual", "never", "off"):
        raise refusal(_EXPECTED_CRON, "Write null (without quotes) for runs by hand only.")
    if value == DEFAULT_SCHEDULE:
        return value
    if not re.fullmatch(r"[0-9A-Za-z*/,#?-]+( [0-9A-Za-z*/,#?-]+){4}", value) or len(value) > 200:
        one_space = " ".join(value.split())
        if len(value) <= 200 and looks_like_cron(value):
            raise refusal(_EXPECTED_CRON, cron_trouble(value) or write(one_space))
        raise refusal(_EXPECTED_CRON, "For example '0 6 * * *' is every day at 06:00, '0 6 * * 1-5' Monday to Friday.")
    if trouble := _trouble(value):
        raise refusal(_EXPECTED_CRON, trouble)
    return value


CronSchedule = Annotated[
    str, AfterValidator(_check_schedule), WithJsonSchema({"type": "string", "pattern": r"^\S+( \S+){4}$"})
]
