"""Due times against a slow, obvious reading of the same words: day by day, minute by minute."""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_delivery.calendar.business_days import BusinessDays, UnknownCalendar, check_calendar
from client_delivery.calendar.due import EVERY, EXAMPLES, WEEKDAYS, NotUnderstood, understood

ZONES = ("UTC", "America/Chicago", "Europe/London", "Australia/Sydney", "Asia/Kolkata", "America/St_Johns")
CALENDARS = (
    BusinessDays(),
    BusinessDays("US"),
    BusinessDays("DE-BY"),
    BusinessDays(None, frozenset({date(2025, 12, 24), date(2026, 1, 2)})),
)
BEGIN, END = date(2024, 6, 1), date(2027, 6, 1)

clock = st.builds(lambda hour, minute: f"{hour:02d}:{minute:02d}", st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
part = st.one_of(
    st.integers(1, 31).map(lambda day: f"day {day}"),
    st.integers(1, 12).map(lambda day: f"business day {day}"),
    st.sampled_from(["last day", "last business day"]),
)
rules = st.one_of(
    st.builds(lambda period, at: f"{period}, {at}", st.sampled_from(["daily", "business days"]), clock),
    st.builds(lambda day, at: f"weekly, {day}, {at}", st.sampled_from(WEEKDAYS), clock),
    st.builds(
        lambda period, day, at: f"{period}, {day}, {at}",
        st.sampled_from(["monthly", "quarterly", "yearly"]),
        part,
        clock,
    ),
)


@cache
def periods(name: str) -> dict[tuple[int, ...], list[date]]:
    """All days around those that are looked at, period by period."""
    found: dict[tuple[int, ...], list[date]] = {}
    for number in range(-366, (END - BEGIN).days + 366):
        day = BEGIN + timedelta(days=number)
        found.setdefault(period_of(day, name), []).append(day)
    return found


def period_of(day: date, name: str) -> tuple[int, ...]:
    return {
        "daily": (day.toordinal(),),
        "business days": (day.toordinal(),),
        "weekly": day.isocalendar()[:2],
        "monthly": (day.year, day.month),
        "quarterly": (day.year, (day.month - 1) // 3),
        "yearly": (day.year,),
    }[name]


def is_due_on(day: date, rule: str, days: BusinessDays) -> bool:
    """By listing the days of the day's period and counting."""
    period, *rest = rule.split(", ")[:-1]
    together = periods(period)[period_of(day, period)]
    if period == "daily":
        return True
    if period == "business days":
        return day in days
    if period == "weekly":
        return WEEKDAYS[day.weekday()] == rest[0]
    if "business" in rest[0]:
        together = [one for one in together if one in days]
    if rest[0].startswith("last"):
        return bool(together) and together[-1] == day
    number = int(rest[0].rpartition(" ")[2])
    if "business" in rest[0]:
        return len(together) >= number and together[number - 1] == day
    return together[min(number, len(together)) - 1] == day


def moment_of(day: date, rule: str, zone: str) -> datetime:
    """The first minute at which the client's clock on the wall has passed the time of that day."""
    hour, minute = map(int, rule.rpartition(", ")[2].split(":"))
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
    wall = (day, hour, minute)
    # No clock is put forward or back by as much as two hours: up to there nothing can be missed.
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC)
    moment += max(
        datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC) - shown - timedelta(hours=2), timedelta()
    )
    while True:
        local = moment.astimezone(ZoneInfo(zone))
        if (local.date(), local.hour, local.minute) >= wall:
            return moment
        moment += timedelta(minutes=1)


@settings(max_examples=int(os.environ.get("CALENDAR_EXAMPLES", "8")), deadline=None, derandomize=True)
@given(rule=rules, zone=st.sampled_from(ZONES), days=st.sampled_from(CALENDARS))
def test_due_times_are_those_of_a_calendar_read_day_by_day(rule, zone, days):
    due = understood(rule, zone=zone, days=days)
    slow = [
        moment_of(day, rule, zone)
        for number in range((END - BEGIN).days)
        if is_due_on(day := BEGIN + timedelta(days=number), rule, days)
    ]
    moment = slow[0] - timedelta(minutes=1)
    assert due.next(moment, len(slow)) == slow
    for earlier, later in pairwise(slow):
        assert due.before(later - timedelta(seconds=1)) == earlier
        assert due.before(later) == later


@pytest.mark.parametrize("zone", ZONES)
def test_a_cron_expression_goes_by_the_clients_clock(zone):
    due = understood("30 2 * * *", zone=zone)
    every_day = understood("daily, 02:30", zone=zone)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert due.next(start, 700) == every_day.next(start, 700)
    assert due.before(datetime(2026, 11, 1, 12, tzinfo=UTC)) == every_day.before(datetime(2026, 11, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        # Chicago's clock goes from 02:00 to 03:00 on 2026-03-08, and from 02:00 back to 01:00 on 2026-11-01.
        ("2026-03-08", "2026-03-08T08:00:00+00:00"),
        ("2026-03-09", "2026-03-09T07:30:00+00:00"),
        ("2026-11-01", "2026-11-01T08:30:00+00:00"),
    ],
)
def test_a_time_that_the_clock_skips_or_repeats_is_due_once(day, moment):
    due = understood("02:30", zone="America/Chicago")
    noon = datetime.fromisoformat(f"{day}T18:00:00+00:00")
    assert due.before(noon) == datetime.fromisoformat(moment)
    assert due.after(due.before(noon)) > noon


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_understood_and_says_itself(example):
    assert understood(example).rule == example


@pytest.mark.parametrize(("every", "word"), EVERY.items())
def test_every_and_by_together_mean_the_same_as_by_alone(every, word):
    by = {"day": "08:00", "business day": "08:00", "week": "friday, 08:00"}.get(every, "business day 5, 08:00")
    assert understood(by, every) == understood(f"{word}, {by}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Begin with one of"),
        ("soon", "Begin with one of"),
        ("daily", "End with a time of day"),
        ("daily, monday, 08:00", "takes only a time of day"),
        ("monthly, 08:00", "needs a day and a time of day"),
        ("monthly, 5, 08:00", "'day 1' to 'day 31'"),
        ("monthly, day 32, 08:00", "'day 1' to 'day 31'"),
        ("monthly, business day 19, 08:00", "'business day 18'"),
        ("monthly, last day 2, 08:00", "'last day'"),
        ("weekly, mo, 08:00", "'monday'"),
        ("daily, 24:00", "End with a time of day"),
        ("61 * * * *", "The minute is '61'"),
    ],
)
def test_what_is_not_understood_is_explained(text, said):
    with pytest.raises(NotUnderstood, match=said.replace("(", r"\(")):
        understood(text)


def test_every_that_says_another_period_than_by_is_refused():
    with pytest.raises(NotUnderstood, match="Leave out"):
        understood("monthly, day 1, 08:00", "month")


def test_only_calendars_that_there_are():
    check_calendar("US-TX")
    with pytest.raises(UnknownCalendar, match="country 'XX'"):
        check_calendar("XX")
    with pytest.raises(UnknownCalendar, match="known regions of US are"):
        check_calendar("US-ZZ")


@pytest.mark.parametrize("day", ["mon", "monday", "mondays", "Mon"])
def test_a_weekday_may_be_shortened(day):
    assert understood(f"weekly, {day}, 18:00").rule == "weekly, monday, 18:00"
    assert understood("weekly, thurs, 18:00").rule == "weekly, thursday, 18:00"


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("0 25 * * *", "The hour is '25', but must be 0 to 23"),
        ("0 8 * *", "It has 4 fields, but needs five"),
        ("0 0 8 * * *", "seconds and years have none"),
        ("0 8 31 2 *", "The date never comes"),
        ("0 8 * * 9", "The weekday is '9', but must be 0 to 7"),
    ],
)
def test_of_a_wrong_cron_expression_the_field_is_named(by, said):
    with pytest.raises(NotUnderstood, match=re.escape(said)):
        understood(by)
