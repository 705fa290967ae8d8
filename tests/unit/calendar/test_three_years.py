"""Three years of one client, hour by hour: zones, summer time, holidays, pauses and outages, against an obvious model.

The model knows nothing of :mod:`client_delivery.calendar`: due times are read from a calendar day by day, and what is
told of each is what a person with the list of arrivals beside them would tell.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_delivery.calendar.business_days import BusinessDays
from client_delivery.calendar.due import understood
from client_delivery.calendar.expectation import Expectation, News
from tests.unit.calendar.test_due import BEGIN, CALENDARS, END, ZONES, is_due_on, moment_of, rules
from tests.unit.calendar.test_expectation import told

FIRST = datetime(BEGIN.year, BEGIN.month, BEGIN.day, tzinfo=UTC) + timedelta(days=40)
HOURS = 3 * 365 * 24 - 90 * 24
PAUSED = timedelta(days=4)
"""Nobody has looked for longer: the client was paused, and what was due meanwhile is let pass."""


def due_times(rule: str, zone: str, days: BusinessDays) -> list[datetime]:
    dates = (BEGIN + timedelta(days=number) for number in range((END - BEGIN).days))
    return [moment_of(day, rule, zone) for day in dates if is_due_on(day, rule, days)]


def should_be_told(
    dues: list[datetime], at_least: int, arrivals: list[datetime], looks: list[datetime]
) -> list[tuple[datetime, News]]:
    """Due time by due time: who came in time, who came when, and who looked when."""
    news: list[tuple[datetime, News]] = []
    counted = max((one for one in dues if one <= looks[0]), default=looks[0])
    ahead = [one for one in dues if looks[0] < one <= looks[-1]]
    for number, due in enumerate(ahead):
        end = ahead[number + 1] if number + 1 < len(ahead) else datetime.max.replace(tzinfo=UTC)
        first = bisect_left(looks, due)
        after, last = looks[first : bisect_left(looks, end)], looks[first - 1]
        if not after:
            continue  # the next due time came before anybody looked
        if after[0] - last > PAUSED:
            counted = due
            continue
        if earlier := bisect_left(dues, due):
            counted = max(counted, dues[earlier - 1])
        if sum(counted < one <= due for one in arrivals) >= at_least:
            counted = due
            continue
        reminded = None
        for now in after:
            if sum(counted < one <= now for one in arrivals) >= at_least:
                news.append((now, News.CAME_LATE))
                counted = now
                break
            if reminded is None or now - reminded >= timedelta(hours=24):
                news.append((now, News.LATE if reminded is None else News.STILL_LATE))
                reminded = now
        else:
            counted = due
    return news


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=int(os.environ.get("CALENDAR_YEARS", "40")), deadline=None, derandomize=True)
@given(
    rule=rules,
    zone=st.sampled_from(ZONES),
    days=st.sampled_from(CALENDARS),
    at_least=st.integers(1, 3),
    hours=st.lists(st.integers(0, HOURS), max_size=200),
    gaps=st.lists(st.tuples(st.integers(0, HOURS), st.integers(1, 20 * 24)), max_size=8),
    every=st.sampled_from([3, 7, 24]),
)
def test_three_years_of_a_client_are_told_as_people_would(rule, zone, days, at_least, hours, gaps, every):
    dues = due_times(rule, zone, days)
    expectation = Expectation("elig_*.csv", at_least, understood(rule, zone=zone, days=days))
    arrivals = sorted(FIRST + timedelta(hours=hour, minutes=7) for hour in set(hours))
    silent = {hour for begin, length in gaps for hour in range(begin, begin + length)}
    looks = [FIRST + timedelta(hours=hour) for hour in range(0, HOURS, every) if hour not in silent]
    assert told(expectation, arrivals, looks) == should_be_told(dues, at_least, arrivals, looks)
