"""When a client's runs begin (R4.1)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable

from client_delivery.config.schedule import spread_by
from client_delivery.config.timing import Timing

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig


def starts(config: ClientConfig) -> AssetOrTimeSchedule | CronTriggerTimetable | None:
    """When runs begin: by the schedule and, if the configuration asks for it, on arrival (R4.1)."""
    by_clock = due(config.name, Timing(None if config.paused else config.schedule, config.timezone))
    if by_clock is None or not config.watched:
        return by_clock
    from client_delivery.operators.assets import arrival_asset

    return AssetOrTimeSchedule(timetable=by_clock, assets=[arrival_asset(config)])


def due(name: str, timing: Timing) -> CronTriggerTimetable | None:
    """When runs begin.

    With a start date in the past, Airflow runs a new DAG at once, for the last scheduled time: a client that is due on
    the 1st and deployed on the 25th would get the files that wait on the 25th. Without a start date, the timetable says
    how late the first run may be; a new client waits for its next time. Later runs are not affected: there Airflow
    counts from the last run, and makes up for one that was missed.

    The moment of parsing is no alternative as a start date: it would move at each parse. And some delay must be
    allowed, because each parse computes the first run again: a run that the scheduler has not started in time would be
    lost.
    """
    if timing.schedule is None:
        return None
    schedule = spread_by(timing.schedule, name)
    seldom = re.match(r"[0-9]+ [0-9]+ ", schedule)
    patience = timedelta(hours=1) if seldom else timedelta(minutes=1)
    return CronTriggerTimetable(schedule, timezone=timing.timezone, run_immediately=patience)
