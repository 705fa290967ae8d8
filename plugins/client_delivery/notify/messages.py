"""What the e-mails say (R7): pure functions from a job to a message.

File names and error texts are untrusted: see :mod:`client_delivery.notify.untrusted`. None of them reaches a header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from enum import StrEnum
from typing import NamedTuple

from client_delivery.notify.csv_table import Cell, csv_table
from client_delivery.notify.rendering import attach, clock, counted, rendered
from client_delivery.notify.sizes import human_size
from client_delivery.notify.untrusted import elided, printable

DELIVERIES = "Deliveries page"
"""The fact whose value is a link."""
LISTED = 100
"""Files of this job in the body of an e-mail, failed ones first; the attached CSV has all (R7.4)."""
LISTED_BESIDES = 20
"""Held files, and files that came under a second name, in the body of an e-mail."""
_LONGEST_NAME = 160
_LONGEST_DETAIL = 600


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file as the e-mail shows it."""

    name: str
    size: int
    """In bytes."""
    status: str
    """As in the ledger (R3.2): ``processing``, ``success`` or ``fail``."""
    attempts: int
    """Failed ones."""
    error: str | None = None
    note: str | None = None
    replaced: bool = False
    """Another object replaced it before it could be read."""
    delivered_to: str | None = None
    arrives_as: str | None = None
    """What it is called at the destination, where that is another name."""
    checksum: str | None = None
    """Of the bytes at the destination: those that are known, each with its algorithm."""
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One delivery as the e-mail shows it."""

    client_h_number: str
    feed: str | None
    configuration: str
    run_id: str
    time: datetime
    """With its time zone; shown by the client's clock."""
    source: str
    destination: str
    files: Sequence[FileLine]
    held: Sequence[FileLine] = ()
    """Failed in an earlier run, not sent again (R5.4)."""
    more_held: int = 0
    """How many more are held than are listed in ``held``."""
    duplicates: Sequence[FileLine] = ()
    """Not sent, for the same content was, under another name (R5.7)."""
    completion: Sequence[str] = ()
    """How the completion files of the files' sets stand."""
    proofs: Sequence[tuple[str, bytes]] = ()
    """Completion files to attach, by name."""
    asked: str = ""
    """What the trigger form asked for beyond the configuration."""
    run_url: str | None = None
    environment: str | None = None
    zone: str = "UTC"
    """The client's."""
    deliveries_url: str | None = None
    """Where people of the team see the client's files."""

    @property
    def client(self) -> str:
        """The client as people call it."""
        return f"{self.client_h_number} {self.feed}" if self.feed else self.client_h_number


class Outcome(StrEnum):
    """What became of a file, in the word that the e-mail uses. What needs attention comes first."""

    FAILED = "failed"
    HELD = "held"
    REPLACED = "replaced"
    NOT_SENT = "not sent"
    IN_PROGRESS = "in progress"
    DELIVERED = "delivered"


_OF_STATUS = {"fail": Outcome.FAILED, "processing": Outcome.IN_PROGRESS, "success": Outcome.DELIVERED}


def outcome_of(file: FileLine) -> Outcome:
    """What became of a file."""
    return Outcome.REPLACED if file.replaced else _OF_STATUS[file.status]


class _Row(NamedTuple):
    outcome: Outcome
    file: FileLine

    @property
    def name(self) -> str:
        return elided(printable(self.file.name), _LONGEST_NAME)

    @property
    def size(self) -> str:
        return human_size(self.file.size)

    @property
    def details(self) -> list[str]:
        """What it is called there, what failed, if it still matters, and the note."""
        texts = [f"arrives as {self.file.arrives_as}" if self.file.arrives_as else "", self.file.note or ""]
        if self.outcome in {Outcome.FAILED, Outcome.HELD, Outcome.REPLACED, Outcome.IN_PROGRESS}:
            attempts = counted(self.file.attempts, "failed attempt") if self.file.attempts else ""
            texts = [": ".join(filter(None, (attempts, self.file.error))), *texts]
        one_line = (" ".join(text.split()) for text in texts)
        return [elided(printable(text), _LONGEST_DETAIL) for text in one_line if text]

    @property
    def cells(self) -> list[Cell]:
        file = self.file
        return [
            file.name,
            file.size,
            str(self.outcome),
            file.status,
            file.attempts,
            file.timestamp,
            file.delivered_to,
            file.error,
            file.note,
            file.arrives_as,
            file.checksum,
        ]


_CSV_HEADER = (
    "file",
    "bytes",
    "outcome",
    "status",
    "failed attempts",
    "last change",
    "delivered to",
    "last error",
    "note",
    "arrives as",
    "checksum",
)


class _Section(NamedTuple):
    heading: str
    advice: str
    rows: Sequence[_Row]
    """Those that are listed."""
    more: int
    """How many are not."""


class _Count(NamedTuple):
    outcome: Outcome
    files: int
    size: str


def started(summary: JobSummary, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The 'Job started' e-mail (R7.1). Raises ``ValueError`` for a time without its zone."""
    return _message("Job started", counted(len(summary.files), "file"), summary, sender, recipients)


def finished(
    summary: JobSummary, sender: str, recipients: Sequence[str], *, title: str = "Job finished", advice: str = ""
) -> EmailMessage:
    """The 'Job finished' e-mail (R7.1). Raises ``ValueError`` for a time without its zone.

    :param advice: what the reader is to do.
    """
    return _message(title, outcome_in_words(summary), summary, sender, recipients, advice=advice)


def outcome_in_words(summary: JobSummary) -> str:
    """How many files came to what, as a headline has it."""
    outcomes = [outcome_of(file) for file in summary.files]
    delivered, failed, replaced, unfinished = (
        outcomes.count(one) for one in (Outcome.DELIVERED, Outcome.FAILED, Outcome.REPLACED, Outcome.IN_PROGRESS)
    )
    outcome = [f"{delivered:,} delivered"] if delivered or not failed else []
    outcome += [f"{replaced:,} replaced"] if replaced else []
    outcome += [f"{len(summary.duplicates):,} not sent"] if summary.duplicates else []
    outcome += [f"{failed:,} FAILED"] if failed else []
    outcome += [f"{unfinished:,} in progress"] if unfinished else []
    outcome += [f"{len(summary.held):,} held"] if summary.held else []
    return ", ".join(outcome)


def held(summary: JobSummary, sender: str, recipients: Sequence[str], *, advice: str = "") -> EmailMessage:
    """The daily reminder of files that failed and still wait (R5.9). Raises ``ValueError`` for a time without zone."""
    count = len(summary.held) + summary.more_held
    return _message("Still held", f"{count:,} held", summary, sender, recipients, advice=advice)


def _message(
    title: str, headline: str, summary: JobSummary, sender: str, recipients: Sequence[str], *, advice: str = ""
) -> EmailMessage:
    client = summary.client
    where = f"{summary.environment}: " if summary.environment else ""
    files = sorted(
        (_Row(outcome_of(file), file) for file in summary.files),
        key=lambda row: (_RANK[row.outcome], row.file.name),
    )
    held = [_Row(Outcome.HELD, file) for file in summary.held]
    duplicates = [_Row(Outcome.NOT_SENT, file) for file in summary.duplicates]
    every = sorted([*files, *held, *duplicates], key=lambda row: _RANK[row.outcome])
    table, in_table = csv_table(_CSV_HEADER, [row.cells for row in every])
    shown = {
        "title": title,
        "headline": headline,
        "client": printable(client),
        "environment": printable(summary.environment or ""),
        "facts": _facts(summary, client),
        "advice": advice,
        "run_url": summary.run_url,
        "deliveries_url": summary.deliveries_url,
        "counts": _counts(every),
        "sections": _sections(files, held, duplicates),
        "in_table": in_table,
        "files_in_all": len(every),
    }
    message = rendered("mail", shown, f"{where}[{client}] {title}: {headline}", sender, recipients)
    attach(message, table, client)
    for name, content in summary.proofs:
        plain = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII)
        message.add_attachment(content, maintype="text", subtype="plain", filename=plain, params={"charset": "utf-8"})
    return message


_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}


def _facts(summary: JobSummary, client: str) -> list[tuple[str, str]]:
    facts = [
        ("Client H number", client),
        ("Time", clock(summary.time, summary.zone, "%Y-%m-%d %H:%M:%S")),
        ("From", summary.source),
        ("To", summary.destination),
        ("Configuration", summary.configuration),
        ("Run", summary.run_id),
    ]
    facts += [("Completion file", one) for one in summary.completion]
    if summary.asked:
        facts.append(("Asked for", summary.asked))
    if summary.deliveries_url:
        facts.append((DELIVERIES, "every file of this client"))
    if summary.more_held:
        facts.append(("Not listed", f"{summary.more_held:,} more files that are held"))
    return [(label, printable(value)) for label, value in facts]


def _counts(rows: Sequence[_Row]) -> list[_Count]:
    """For each outcome that there is: how many files, and their size. What was done comes before what was not."""
    found = []
    for outcome in reversed(Outcome):
        sizes = [row.file.size for row in rows if row.outcome is outcome]
        if sizes:
            found.append(_Count(outcome, len(sizes), human_size(sum(sizes))))
    return found


def _sections(files: Sequence[_Row], held: Sequence[_Row], duplicates: Sequence[_Row]) -> list[_Section]:
    sections = (
        (f"Files: {len(files):,}", "", files, LISTED),
        (
            f"Held: failed earlier, not sent again: {len(held):,}",
            "These files wait in the pick-up. To send them, fix the cause and clear the run that failed in Airflow, "
            "or trigger the DAG with “Resend failed files”. A file that is renamed or dropped again is sent by the "
            "next run; for a client with a done file, by the run with the next done file.",
            held,
            LISTED_BESIDES,
        ),
        (
            f"Not sent: same content as another file: {len(duplicates):,}",
            "If the client wants both names, set “dedupe_by: content_and_name” in its configuration and drop the "
            "file again. Files that were sent under their own names are not sent again.",
            duplicates,
            LISTED_BESIDES,
        ),
    )
    return [
        _Section(heading, advice, rows[:limit], max(0, len(rows) - limit))
        for heading, advice, rows, limit in sections
        if rows
    ]
