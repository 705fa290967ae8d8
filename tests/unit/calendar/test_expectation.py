"""What is told of expected files, against a slow and obvious reading of three years; and the cases by name."""

from __future__ import annotations

import os
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client_delivery.calendar.business_days import BusinessDays
from client_delivery.calendar.due import understood
from client_delivery.calendar.expectation import Arrival, Expectation, News, State, judge
from client_delivery.calendar.window import Window

BEGIN = datetime(2025, 1, 15, 12, tzinfo=UTC)
HOURS = 24 * 365
RULES = ("daily, 08:00", "business days, 17:30", "weekly, friday, 18:00", "monthly, business day 5, 18:00")


def told(expectation: Expectation, arrivals: list[datetime], looks: list[datetime]) -> list[tuple[datetime, News]]:
    """What the product tells, look by look."""
    news, state, before = [], None, looks[0]
    found = [Arrival(f"elig_{number}.csv", came) for number, came in enumerate(arrivals)]
    for now in looks:
        here = [one for one in found if one.came <= now]
        judgement = judge(
            expectation,
            state,
            now,
            lambda since, here=here: [one for one in here if one.came > since],
            paused=now - before > timedelta(days=4),
            delivered=any(before < one.came <= now for one in found),
        )
        state, before = judgement.state, now
        if judgement.news:
            news.append((now, judgement.news))
    return news


def should_be_told(
    expectation: Expectation, arrivals: list[datetime], looks: list[datetime]
) -> list[tuple[datetime, News]]:
    """Due time by due time: who came in time, who came when, and who looked when."""
    due, every = looks[0], []
    while (due := expectation.due.after(due)) <= looks[-1]:
        every.append(due)
    news: list[tuple[datetime, News]] = []
    begin = expectation.due.before(looks[0])
    for number, due in enumerate(every):
        end = every[number + 1] if number + 1 < len(every) else datetime.max.replace(tzinfo=UTC)
        after = [one for one in looks if due <= one < end]
        last = max(one for one in looks if one < due)
        if not after or after[0] - last > timedelta(days=4):
            # Overtaken by the next due time before anybody looked, or paused.
            begin = due if after else max(begin, due)
            continue
        begin = max(begin, expectation.due.before(due - timedelta(microseconds=1)))
        if sum(begin < one <= due for one in arrivals) >= expectation.at_least:
            begin = due
            continue
        reminded, there = None, False
        for now in after:
            if sum(begin < one <= now for one in arrivals) >= expectation.at_least:
                news.append((now, News.CAME_LATE))
                begin, there = now, True
                break
            if reminded is None or now - reminded >= timedelta(hours=24):
                news.append((now, News.LATE if reminded is None else News.STILL_LATE))
                reminded = now
        if not there:
            begin = due
    return news


@settings(max_examples=int(os.environ.get("CALENDAR_EXAMPLES", "15")), deadline=None, derandomize=True)
@given(
    rule=st.sampled_from(RULES),
    zone=st.sampled_from(["UTC", "America/Chicago", "Australia/Sydney"]),
    at_least=st.integers(1, 3),
    hours=st.lists(st.integers(0, HOURS), max_size=120),
    pause=st.tuples(st.integers(0, HOURS), st.integers(0, 24 * 60)),
    every=st.sampled_from([1, 6, 11]),
)
def test_a_year_of_a_client_is_told_as_people_would(rule, zone, at_least, hours, pause, every):
    expectation = Expectation("elig_*.csv", at_least, understood(rule, zone=zone, days=BusinessDays("US")))
    arrivals = sorted(BEGIN + timedelta(hours=hour, minutes=7) for hour in set(hours))
    paused = range(pause[0], pause[0] + pause[1])
    looks = [BEGIN + timedelta(hours=hour) for hour in range(0, HOURS, every) if hour not in paused]
    assert told(expectation, arrivals, looks) == should_be_told(expectation, arrivals, looks)


MONTHLY = Expectation("elig_*.csv", 1, understood("monthly, day 5, 18:00"))
DUE = datetime(2026, 3, 5, 18, tzinfo=UTC)
KNOWN = State(since=datetime(2026, 2, 5, 18, tzinfo=UTC), due=datetime(2026, 2, 5, 18, tzinfo=UTC))


def asked(*came: tuple[str, datetime]):
    return lambda since: [Arrival(name, at) for name, at in came if at > since]


def never(since: datetime):
    raise AssertionError("the record was asked though nothing is to be decided")


def test_nothing_is_told_of_the_time_before_the_expectation_was_written():
    judgement = judge(MONTHLY, None, DUE + timedelta(hours=1), never)
    assert (judgement.news, judgement.state.due) == (None, DUE)


def test_nothing_is_asked_while_no_time_has_passed():
    assert judge(MONTHLY, KNOWN, DUE - timedelta(minutes=1), never).state == KNOWN


def test_a_file_that_came_in_time_is_not_late_because_it_was_delivered_after_an_outage():
    came = asked(("elig_march.csv", DUE - timedelta(minutes=1)))
    assert judge(MONTHLY, KNOWN, DUE + timedelta(days=2), came).news is None


def test_a_file_of_another_name_does_not_count():
    judgement = judge(MONTHLY, KNOWN, DUE + timedelta(minutes=5), asked(("claims.csv", DUE - timedelta(days=1))))
    assert (judgement.news, judgement.state.missing) == (News.LATE, True)


def test_a_late_file_counts_for_the_time_that_it_missed_and_not_for_the_next():
    late = judge(MONTHLY, KNOWN, DUE + timedelta(minutes=5), asked()).state
    came = ("elig_march.csv", DUE + timedelta(days=1))
    here = judge(MONTHLY, late, DUE + timedelta(days=1, minutes=5), asked(came))
    assert (here.news, here.came) == (News.CAME_LATE, ["elig_march.csv"])
    april = datetime(2026, 4, 5, 18, tzinfo=UTC)
    assert judge(MONTHLY, here.state, april + timedelta(minutes=5), asked(came)).news is News.LATE


def test_who_acknowledges_is_not_reminded_but_told_when_the_file_has_come():
    late = judge(MONTHLY, KNOWN, DUE + timedelta(minutes=5), asked()).state
    assert judge(MONTHLY, late, DUE + timedelta(days=1, hours=1), asked()).news is News.STILL_LATE
    known = late.acknowledge()
    assert judge(MONTHLY, known, DUE + timedelta(days=1, hours=1), asked()).news is None
    came = asked(("elig_march.csv", DUE + timedelta(days=2)))
    assert judge(MONTHLY, known, DUE + timedelta(days=2, hours=1), came).news is News.CAME_LATE


def test_a_window_is_open_by_the_clients_clock():
    office = Window(*_times("06:00", "22:00"), zone="America/Chicago", days=BusinessDays("US"), business=True)
    thanksgiving = datetime(2026, 11, 26, 18, tzinfo=UTC)
    assert not office.is_open(thanksgiving)
    assert office.opens(thanksgiving) == datetime(2026, 11, 27, 12, tzinfo=UTC)
    assert office.is_open(datetime(2026, 11, 27, 12, tzinfo=UTC))
    assert not office.is_open(datetime(2026, 11, 28, 4, tzinfo=UTC)), "22:00 there"


@pytest.mark.parametrize(("clock", "open_"), [("21:59", False), ("22:00", True), ("03:00", True), ("06:00", False)])
def test_a_window_may_go_past_midnight(clock, open_):
    night = Window(*_times("22:00", "06:00"), weekdays=frozenset(range(5)))
    friday = 10  # 2026-07-10; the night that begins on it ends on Saturday
    hour, minute = map(int, clock.split(":"))
    moment = datetime(2026, 7, friday + (hour < 12), hour, minute, tzinfo=UTC)
    assert night.is_open(moment) is open_
    assert not night.is_open(datetime(2026, 7, 12, 23, tzinfo=UTC)), "a Sunday"


def _times(begin: str, until: str):
    return time.fromisoformat(begin), time.fromisoformat(until)
