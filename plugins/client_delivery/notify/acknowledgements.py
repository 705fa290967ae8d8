"""The messages about acknowledgements that recipients owe: pure functions, as those of late files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from enum import StrEnum

from client_delivery.notify.expected import LISTED, About, facts_for_the_team
from client_delivery.notify.rendering import counted, rendered
from client_delivery.notify.untrusted import elided, printable

_LONGEST_NAME = 160
_LONGEST_REASON = 500


class AckNews(StrEnum):
    """What there is to be told."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    """It could not be checked whether they have come."""
    CAME = "came late"


_TITLES = {
    AckNews.MISSING: "Not acknowledged",
    AckNews.UNKNOWN: "Acknowledgements cannot be looked for",
    AckNews.CAME: "Acknowledged late",
}
_ADVICE = {
    AckNews.MISSING: "The files were delivered and verified. Ask the recipient whether the files have been processed; "
    "to send one again, use the Deliveries page. A later acknowledgement is noted there if it comes "
    "within 30 days.",
    AckNews.UNKNOWN: "The files were delivered and verified. Follow the advice in the reason. Whether the files are "
    "acknowledged will be decided as soon as a run can look.",
    AckNews.CAME: "Nothing is left to do.",
}
TO_CLIENT = {
    AckNews.MISSING: "These files have been delivered to you, but we have not received your acknowledgement. Please "
    "check whether they have been processed.",
    AckNews.UNKNOWN: "These files have been delivered to you. We cannot look for your acknowledgements at the moment.",
    AckNews.CAME: "We have received your acknowledgements. Thank you.",
}
"""What a message says to the client instead of the advice to the team."""


@dataclass(frozen=True, slots=True)
class Unacknowledged:
    """Deliveries of which there is news."""

    news: AckNews
    pattern: str
    within: str
    count: int
    """How many deliveries it is about."""
    names: Sequence[str]
    """What some of them are called at the destination. Untrusted."""
    reason: str = ""
    """Why nobody could look."""

    @property
    def title(self) -> str:
        """What it is about, in a few words."""
        return _TITLES[self.news]

    @property
    def headline(self) -> str:
        """How many, and what is wanted."""
        if self.news is AckNews.CAME:
            return f"{counted(self.count, 'file')}, and none is missing"
        return f"{counted(self.count, 'file')}, {self.pattern} within {self.within}"

    @property
    def shown(self) -> list[str]:
        """The names, printable."""
        return [elided(printable(name), _LONGEST_NAME) for name in self.names]

    def advice(self, *, to_client: bool) -> str:
        """What to do."""
        return TO_CLIENT[self.news] if to_client else _ADVICE[self.news]


def message(
    told: Unacknowledged, about: About, sender: str, recipients: Sequence[str], *, to_client: bool = False
) -> EmailMessage:
    """The e-mail. File names are untrusted, and none reaches a header.

    :param to_client: it speaks to the client: nothing of paths, runs, reasons and buttons.
    """
    shown = {
        "title": told.title,
        "headline": told.headline,
        "tone": "delivered" if told.news is AckNews.CAME else "failed",
        "client": printable(about.client),
        "environment": printable(about.environment or ""),
        "facts": [
            ("Client H number", printable(about.client)),
            ("Acknowledgement", printable(f"{told.pattern} within {told.within}")),
            *([] if to_client or not told.reason else [("Reason", elided(printable(told.reason), _LONGEST_REASON))]),
            *([] if to_client else facts_for_the_team(about)),
        ],
        "run_url": None if to_client else about.run_url,
        "deliveries_url": None if to_client else about.deliveries_url,
        "names_are": "Files",
        "names": told.shown[:LISTED],
        "more": max(0, told.count - LISTED),
        "advice": told.advice(to_client=to_client),
    }
    where = f"{about.environment}: " if about.environment else ""
    return rendered("expected", shown, f"{where}[{about.client}] {told.title}: {told.headline}", sender, recipients)
