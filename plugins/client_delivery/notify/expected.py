"""The e-mails about files that are expected (R7): pure functions, as those of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage

from client_delivery.calendar.expectation import News
from client_delivery.notify.messages import DELIVERIES
from client_delivery.notify.rendering import clock, rendered
from client_delivery.notify.untrusted import elided, printable

LISTED = 20
_LONGEST_NAME = 160
_TITLES = {
    News.LATE: "Files are late",
    News.STILL_LATE: "Files are still late",
    News.CAME_LATE: "Late files have come",
}
_ADVICE = {
    News.LATE: "Ask the sender. When the files come, they are delivered as usual, and another message says so. To "
    "stop the daily reminders, trigger the DAG with “Acknowledge late files” and a reason.",
    News.CAME_LATE: "Nothing is left to do.",
}


@dataclass(frozen=True, slots=True)
class Late:
    """One expectation of which there is news."""

    news: News
    words: str
    """The expectation."""
    due: datetime
    zone: str
    at_least: int
    came: Sequence[str] = ()
    """The names that have come."""


@dataclass(frozen=True, slots=True)
class About:
    """Whose files, or keys, they are."""

    client: str
    configuration: str
    source: str
    run_id: str
    run_url: str | None
    environment: str | None
    deliveries_url: str | None = None


TO_CLIENT = {
    News.LATE: "These files have not reached us yet. They will be delivered to you as soon as they arrive.",
    News.CAME_LATE: "These files have arrived and have been delivered to you.",
}
"""What the e-mail says to the client instead of the advice to the team."""


def title_of(news: News) -> str:
    """What it is about, in a few words."""
    return _TITLES[news]


def advice_on(news: News) -> str:
    """What the team is to do."""
    return _ADVICE[News.CAME_LATE if news is News.CAME_LATE else News.LATE]


def message(
    late: Late, about: About, sender: str, recipients: Sequence[str], *, to_client: bool = False
) -> EmailMessage:
    """The e-mail about one expectation. File names are untrusted, and none reaches a header.

    :param to_client: it speaks to the client: nothing of paths, runs and buttons.
    """
    title = title_of(late.news)
    names = [elided(printable(name), _LONGEST_NAME) for name in late.came]
    shown = {
        "title": title,
        "headline": printable(late.words),
        "tone": "delivered" if late.news is News.CAME_LATE else "failed",
        "client": printable(about.client),
        "environment": printable(about.environment or ""),
        "facts": [
            ("Client H number", printable(about.client)),
            ("Expected", printable(late.words)),
            ("Was due", clock(late.due, late.zone)),
            ("Has come", f"{len(names)} of {late.at_least}"),
            *([] if to_client else facts_for_the_team(about)),
        ],
        "run_url": None if to_client else about.run_url,
        "deliveries_url": about.deliveries_url,
        "names_are": "Have come",
        "names": names[:LISTED],
        "more": max(0, len(names) - LISTED),
        "advice": TO_CLIENT[News.CAME_LATE if late.news is News.CAME_LATE else News.LATE]
        if to_client
        else advice_on(late.news),
    }
    where = f"{about.environment}: " if about.environment else ""
    return rendered("expected", shown, f"{where}[{about.client}] {title}: {late.words}", sender, recipients)


def facts_for_the_team(about: About) -> list[tuple[str, str]]:
    """Where to look."""
    return [
        ("From", printable(about.source)),
        ("Configuration", printable(about.configuration)),
        ("Run", printable(about.run_id)),
        *([(DELIVERIES, "every file of this client")] if about.deliveries_url else []),
    ]
