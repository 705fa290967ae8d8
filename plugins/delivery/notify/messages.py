"""What the e-mails say (R7): pure functions from a job to a message.

File names and error texts are untrusted: they are escaped in HTML and neutralised in CSV, and never reach a header.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from delivery.sizes import human_size

LISTED = 100
"""Files in the table of an e-mail; all others are in the attached CSV (R7.4)."""
_MOST_CSV_ROWS = 50_000
_ORDER = ("fail", "processing", "success")


@dataclass(frozen=True, slots=True)
class FileLine:
    """One file as the e-mail shows it."""

    name: str
    size: int
    status: str
    attempts: int
    error: str | None = None
    note: str | None = None
    delivered_to: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One delivery as the e-mail shows it."""

    client_h_number: str
    feed: str | None
    configuration: str
    run_id: str
    time: datetime
    source: str
    destination: str
    files: Sequence[FileLine]
    held: Sequence[FileLine] = field(default_factory=tuple)
    """Failed in an earlier run, not sent again (R5.4)."""
    duplicates: Sequence[FileLine] = field(default_factory=tuple)
    """Not sent, for the same content was, under another name (R5.7)."""
    run_url: str | None = None
    environment: str | None = None


def started(summary: JobSummary, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The 'Job started' e-mail (R7.1)."""
    return _message("Job started", _files(len(summary.files)), summary, sender, recipients)


def finished(summary: JobSummary, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The 'Job finished' e-mail (R7.1)."""
    counts = Counter(line.status for line in summary.files)
    outcome = [f"{counts['success']} delivered"] if counts["success"] or not counts["fail"] else []
    outcome += [f"{counts['fail']} FAILED"] if counts["fail"] else []
    outcome += [f"{len(summary.held)} held"] if summary.held else []
    return _message("Job finished", ", ".join(outcome), summary, sender, recipients)


def _message(title: str, outcome: str, summary: JobSummary, sender: str, recipients: Sequence[str]) -> EmailMessage:
    client = summary.client_h_number + (f" {summary.feed}" if summary.feed else "")
    where = f"{summary.environment}: " if summary.environment else ""
    ordered = sorted(summary.files, key=lambda line: (_ORDER.index(line.status), line.name))
    shown = {
        "title": title,
        "outcome": outcome,
        "summary": summary,
        "client": client,
        "time": f"{summary.time:%Y-%m-%d %H:%M:%S} UTC",
        "counts": Counter(line.status for line in summary.files),
        "total": human_size(sum(line.size for line in summary.files)),
        "tables": [
            (heading, advice, lines[:LISTED], len(lines) - LISTED)
            for heading, advice, lines in (
                ("Files", "", ordered),
                (
                    "Held: failed before, not sent again",
                    "They stay in the pick-up. To send them, clear the failed run in Airflow, or trigger the client's "
                    "DAG with “Resend failed files”.",
                    list(summary.held),
                ),
                (
                    "Not sent: the same content was delivered under another name",
                    "If both names are wanted, set dedupe_by: content_and_name in the client's configuration.",
                    list(summary.duplicates),
                ),
            )
            if lines
        ],
    }
    message = EmailMessage()
    message["Subject"] = f"{where}[{client}] {title}: {outcome}"
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_templates.get_template("mail.txt").render(shown))
    message.add_alternative(_templates.get_template("mail.html").render(shown), subtype="html")
    table = _csv([*ordered, *summary.held, *summary.duplicates])
    message.add_attachment(
        table.encode("utf-8-sig"), maintype="text", subtype="csv", filename=f"{summary.configuration}-files.csv"
    )
    return message


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _csv(lines: Sequence[FileLine]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["file", "bytes", "status", "attempts", "time", "delivered to", "error", "note"])
    for line in lines[:_MOST_CSV_ROWS]:
        cells = [
            line.name,
            line.size,
            line.status,
            line.attempts,
            line.timestamp,
            line.delivered_to,
            line.error,
            line.note,
        ]
        writer.writerow([_harmless(cell) for cell in cells])
    if len(lines) > _MOST_CSV_ROWS:
        writer.writerow([f"and {len(lines) - _MOST_CSV_ROWS} more files; all are in the ledger"])
    return out.getvalue()


def _harmless(cell: object) -> object:
    """A spreadsheet must not take a name for a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return f"'{cell}"
    return cell


def _printable(text: str) -> str:
    """Control characters shown, not obeyed: a name cannot add lines to the plain-text e-mail."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=select_autoescape(enabled_extensions=("html",)),
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(size=human_size, printable=_printable)
