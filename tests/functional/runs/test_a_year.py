"""A year of one client, a look every twelve hours: what contacts, team and the team's chat are told of late files."""

from __future__ import annotations

import email
import email.policy
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from client_delivery.calendar.expectation import Arrival, News
from client_delivery.ledger import unsent_mail
from client_delivery.ledger.life import RunRef
from client_delivery.notify.sending import NotificationError
from client_delivery.run import addressees, expected, mails, rules, unsent
from client_delivery.run.addressees import Post
from client_delivery.run.context import Run
from tests.unit.calendar.test_three_years import due_times, should_be_told

RULE, ZONE, AT_LEAST = "business days, 09:30", "America/Chicago", 2
BEGIN = datetime(2025, 2, 1, 3, tzinfo=UTC)
LOOKS = [BEGIN + timedelta(hours=12 * number) for number in range(2 * 365)]
PAUSED = range(300, 320)
"""Looks that nobody took, in the summer."""
DOWN = (datetime(2025, 10, 6, tzinfo=UTC), datetime(2025, 10, 27, tzinfo=UTC))
"""When the chat is down."""
TITLES = {News.LATE: "Files are late", News.STILL_LATE: "Files are still late", News.CAME_LATE: "Late files have come"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_year_of_late_files_is_told_once_to_each(scenario, monkeypatch):
    client = scenario(
        "s3",
        timezone=ZONE,
        holidays="US",
        expected=[{"files": "elig_*.csv", "by": RULE, "at_least": AT_LEAST}],
        notify=[
            {"to": ["team@example.org"], "on": ["late"]},
            {"via": "slack", "connection_id": "chat", "on": ["late", "recovered"]},
        ],
    )
    chance = random.Random(2025)
    arrivals = sorted(
        BEGIN + timedelta(days=day, hours=chance.choice([9, 11, 13, 20, 40]), minutes=chance.randrange(60))
        for day in range(365)
        for _ in range(chance.choice([1, 2, 2, 2]))
    )
    clock = SimpleNamespace(now=BEGIN)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return clock.now

    for module in (expected, rules, addressees, mails, unsent):
        monkeypatch.setattr(module, "datetime", Clock)

    def stamp() -> str:
        return clock.now.isoformat()

    monkeypatch.setattr(unsent_mail, "now", stamp)
    # croniter takes no datetime but the real one.
    monkeypatch.setattr(expected, "_interval", lambda schedule: timedelta(hours=12))
    came = [Arrival(f"elig_{number}.csv", at) for number, at in enumerate(arrivals)]
    monkeypatch.setattr(expected, "_arrivals", lambda run, since: [a for a in came if since < a.came <= clock.now])

    by_mail: dict[str, list[tuple[datetime, str]]] = {}
    in_chat: list[tuple[datetime, str, str]] = []

    def send_raw_email(RawMessage, **_):
        message = email.message_from_bytes(RawMessage["Data"], policy=email.policy.default)
        title = str(message["Subject"]).partition("] ")[2].partition(":")[0]
        by_mail.setdefault(str(message["To"]), []).append((clock.now, title))
        return {"MessageId": "1"}

    def to_channel(rule, brief, seconds):
        if DOWN[0] <= clock.now < DOWN[1]:
            raise NotificationError("The chat is down.")
        in_chat.append((clock.now, brief.title.partition("] ")[2].partition(":")[0], brief.id))

    post = Post(lambda: SimpleNamespace(send_raw_email=send_raw_email), lambda run: None, None, to_channel)
    looks = [look for number, look in enumerate(LOOKS) if number not in PAUSED]
    for number, clock.now in enumerate(looks):
        run = Run(client.config, RunRef(f"r{number}", 0, client.config.name), {"send_notifications": True})
        expected.look(run, lambda: post, delivered=True)
        unsent.send_what_is_left(run, post)

    news = should_be_told(due_times(RULE, ZONE, client.config.business_days), AT_LEAST, arrivals, looks)
    everything = [(at, TITLES[one]) for at, one in news]
    assert len(everything) > 60
    assert {title for _, title in everything} == set(TITLES.values())
    assert by_mail["data@example.com"] == everything
    assert by_mail["team@example.org"] == [one for one in everything if one[1] != TITLES[News.CAME_LATE]]
    assert max(Counter(id_ for _, _, id_ in in_chat).values()) == 1
    kept = timedelta(days=3)
    lost = [at for at, _ in everything if DOWN[0] <= at < DOWN[1] - kept]
    assert lost, "the chat was down for so long that some were given up"
    told = sorted(title for _, title, _ in in_chat)
    late = [(at, title) for at, title in everything if DOWN[1] - kept <= at < DOWN[1]]
    whole = [title for at, title in everything if not DOWN[0] <= at < DOWN[1]]
    # What was noted shortly before the three days is given up or told by the hour of the next try.
    assert Counter(whole) <= Counter(told) <= Counter(whole) + Counter(title for _, title in late)
    assert any(DOWN[1] <= at < DOWN[1] + timedelta(hours=25) for at, _, _ in in_chat), "told when it is up again"
