"""The e-mails about files that are expected (R7): pure functions, as those of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from zoneinfo import ZoneInfo

from client_delivery.calendar.expectation import News
from client_delivery.notify.messages import rendered
from client_delivery.notify.untrusted import elided, printable

LISTED = 20
_LONGEST_NAME = 160
_TITLES = {
    News.LATE: "Files are late",
    News.STILL_LATE: "Files are still late",
    News.CAME_LATE: "Late files have come",
}
_ADVICE = {
    News.LATE: "Ask the sender. The files are delivered as usual when they come, and this is told as well. "
    "To stop the daily reminders, trigger the DAG with “Acknowledge late files” and a reason.",
    News.CAME_LATE: "Nothing is left to be done.",
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
    """Whose files they are."""

    client: str
    configuration: str
    source: str
    run_id: str
    run_url: str | None
    environment: str | None


def message(late: Late, about: About, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The e-mail about one expectation. File names are untrusted, and none reaches a header."""
    title = _TITLES[late.news]
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
            ("Was due", f"{late.due.astimezone(ZoneInfo(late.zone)):%Y-%m-%d %H:%M} {late.zone}"),
            ("Has come", f"{len(names)} of {late.at_least}"),
            ("From", printable(about.source)),
            ("Configuration", printable(about.configuration)),
            ("Run", printable(about.run_id)),
        ],
        "run_url": about.run_url,
        "names": names[:LISTED],
        "more": max(0, len(names) - LISTED),
        "advice": _ADVICE[News.CAME_LATE if late.news is News.CAME_LATE else News.LATE],
    }
    where = f"{about.environment}: " if about.environment else ""
    return rendered("expected", shown, f"{where}[{about.client}] {title}: {late.words}", sender, recipients)
