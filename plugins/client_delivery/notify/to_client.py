"""The message to the client itself about a delivery: what arrived, and what will be retried; no internal details.

No path, host, run, link or reason of ours is in it: a reason quotes servers and names places.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from typing import NamedTuple

from client_delivery.config.notify import Occasion
from client_delivery.notify.csv_table import csv_table
from client_delivery.notify.messages import LISTED, FileLine, JobSummary, Outcome, outcome_of
from client_delivery.notify.rendering import attach, clock, counted, rendered
from client_delivery.notify.sizes import human_size
from client_delivery.notify.untrusted import elided, printable

_LONGEST_NAME = 160
DELIVERED, NOT_YET, UNDER_WAY, REPLACED, KNOWN = (
    "delivered",
    "not delivered yet",
    "under way",
    "newer version follows",
    "sent before under another name",
)
_WORDS = {
    Outcome.DELIVERED: DELIVERED,
    Outcome.FAILED: NOT_YET,
    Outcome.HELD: NOT_YET,
    Outcome.IN_PROGRESS: UNDER_WAY,
    Outcome.REPLACED: REPLACED,
    Outcome.NOT_SENT: KNOWN,
}
_ORDER = (NOT_YET, REPLACED, UNDER_WAY, KNOWN, DELIVERED)
_SAID = {
    DELIVERED: "Each file that is listed as delivered is at its destination, whole and verified.",
    NOT_YET: "Files that are not delivered yet wait with us. Our team knows about them, and sends them once the "
    "cause is fixed; you need not send them again.",
    UNDER_WAY: "Files that are under way will be retried automatically.",
    REPLACED: "If a newer version of a file arrived while the file was being sent, the newer version follows.",
}
_TITLES = {
    Occasion.STARTED: "Delivery started",
    Occasion.FINISHED: "Delivery finished",
    Occasion.FAILED: "Delivery incomplete",
    Occasion.RECOVERED: "Delivery completed",
    Occasion.HELD: "Files still wait to be delivered",
}


class _Row(NamedTuple):
    outcome: str
    file: FileLine

    @property
    def name(self) -> str:
        """As the client finds it."""
        return elided(printable(self.file.arrives_as or self.file.name), _LONGEST_NAME)

    @property
    def size(self) -> str:
        return human_size(self.file.size)


def title_of(occasion: Occasion) -> str:
    """What it is about, in a few words."""
    return _TITLES[occasion]


def headline(summary: JobSummary, occasion: Occasion) -> str:
    """How many files came to what."""
    rows = _rows(summary)
    if occasion is Occasion.STARTED or not rows:
        return counted(len(rows), "file")
    counts = [(sum(row.outcome == word for row in rows), word) for word in reversed(_ORDER)]
    said = [(number + (summary.more_held if word == NOT_YET else 0), word) for number, word in counts]
    return ", ".join(f"{number:,} {word}" for number, word in said if number)


def advice(summary: JobSummary, occasion: Occasion) -> str:
    """What the client may expect."""
    if occasion is Occasion.STARTED:
        return "These files are on their way to you."
    there = {row.outcome for row in _rows(summary)}
    return " ".join(text for word, text in _SAID.items() if word in there) or "There was nothing to send."


def message(summary: JobSummary, occasion: Occasion, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The e-mail to the client. Raises ``ValueError`` for a time without its zone."""
    rows = _rows(summary)
    table, in_table = csv_table(
        ("file", "bytes", "outcome"),
        [[row.file.arrives_as or row.file.name, row.file.size, row.outcome] for row in rows],
    )
    title, said = title_of(occasion), headline(summary, occasion)
    shown = {
        "title": title,
        "headline": said,
        "advice": advice(summary, occasion),
        "client": printable(summary.client),
        "environment": printable(summary.environment or ""),
        "facts": [
            ("Client", printable(summary.client)),
            ("Time", clock(summary.time, summary.zone)),
            ("Size", human_size(sum(row.file.size for row in rows))),
        ],
        "run_url": None,
        "tone": "in progress"
        if occasion is Occasion.STARTED
        else "not yet"
        if any(row.outcome == NOT_YET for row in rows)
        else "delivered",
        "rows": rows[:LISTED],
        "more": max(0, len(rows) - LISTED),
        "in_table": in_table,
        "files_in_all": len(rows),
        "unlisted": summary.more_held,
    }
    where = f"{summary.environment}: " if summary.environment else ""
    made = rendered("client", shown, f"{where}[{summary.client}] {title}: {said}", sender, recipients)
    attach(made, table, summary.client)
    return made


def _rows(summary: JobSummary) -> list[_Row]:
    rows = [
        *(_Row(_WORDS[outcome_of(file)], file) for file in summary.files),
        *(_Row(NOT_YET, file) for file in summary.held),
        *(_Row(KNOWN, file) for file in summary.duplicates),
    ]
    return sorted(rows, key=lambda row: (_ORDER.index(row.outcome), row.file.name))
