"""Clients are not all due at the same minute: ``H`` in a schedule is a minute by the configuration's name."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from croniter import croniter
from pydantic import TypeAdapter, ValidationError

from client_delivery.config.schedule import DEFAULT_SCHEDULE, CronSchedule, spread_by


@pytest.mark.parametrize(
    ("name", "cron"),
    [("aurora_health", "6-59/15 * * * *"), ("cedar_care", "13-59/15 * * * *"), ("client_014", "*/15 * * * *")],
)
def test_a_name_has_its_minute_for_ever(name, cron):
    """Another minute would shift the runs of every client at an upgrade."""
    assert spread_by(DEFAULT_SCHEDULE, name) == cron


def test_clients_are_spread_evenly_over_the_quarter_of_an_hour():
    first = Counter(spread_by(DEFAULT_SCHEDULE, f"client_{number:03d}") for number in range(300))
    assert len(first) == 15
    assert max(first.values()) <= 2 * 300 / 15


@pytest.mark.parametrize("schedule", ["*/15 * * * *", "0 6 * * 1-5", "7-59/15 * * * *", "0 6 * 3 THU"])
def test_what_a_file_says_itself_stays_what_it_was(schedule):
    assert spread_by(schedule, "aurora_health") == schedule


@pytest.mark.parametrize("schedule", ["H * * * *", "H/30 6-18 * * MON-FRI", "H 6 1 * *", "H/2 * * MAR THU"])
def test_a_spread_schedule_is_a_cron_expression_for_every_name(schedule):
    assert TypeAdapter(CronSchedule).validate_python(schedule) == schedule
    for name in map(str, range(100)):
        assert croniter.is_valid(spread_by(schedule, name))


@pytest.mark.parametrize(
    "schedule", ["H/7 * * * *", "H/60 * * * *", "H/0 * * * *", "h * * * *", "* H * * *", "H,30 * * * *", "H H 1 * *"]
)
def test_anything_else_with_that_letter_is_refused_with_what_it_stands_for(schedule):
    with pytest.raises(ValidationError, match="H stands for the minute only"):
        TypeAdapter(CronSchedule).validate_python(schedule)


def test_who_reckons_with_the_schedule_has_a_cron_expression(load, text):
    """Whether files are late, for one, asks how long it is between two runs."""
    from client_delivery.run.expected import _interval

    config = load(text("gcs"))
    assert (config.schedule, config.cron) == (DEFAULT_SCHEDULE, spread_by(DEFAULT_SCHEDULE, config.name))
    assert _interval(config.cron) == timedelta(minutes=15)
