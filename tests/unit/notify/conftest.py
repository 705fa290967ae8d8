"""A job to write e-mails about, and what a reader finds in one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest

from client_delivery.notify.messages import FileLine, JobSummary, finished, started

SENDER = "delivery@example.com"
CONTACTS = ("jane@example.com", "data@example.org")


@dataclass
class Read:
    """An e-mail as it arrives: from bytes."""

    message: EmailMessage

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    @property
    def html_words(self) -> str:
        """What a person reads in the HTML, each run of white space one space."""
        reader = _Words()
        reader.feed(self.html)
        return " ".join("".join(reader.found).split())

    @property
    def text_words(self) -> str:
        return " ".join(self.text.split())

    @property
    def attachment(self) -> EmailMessage:
        (attachment,) = self.message.iter_attachments()
        assert isinstance(attachment, EmailMessage)
        return attachment

    @property
    def rows(self) -> list[dict[str, str]]:
        """The CSV's, by column."""
        content = self.attachment.get_payload(decode=True)
        assert isinstance(content, bytes)
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._styles = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._styles = tag == "style"
        self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._styles = False
        self.found.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._styles:
            self.found.append(data)


def a_line(name: str = "a.csv", status: str = "success", **changes: Any) -> FileLine:
    return FileLine(**{"name": name, "size": 10, "status": status, "attempts": 0} | changes)


@pytest.fixture(scope="session")
def line() -> Callable[..., FileLine]:
    return a_line


@pytest.fixture(scope="session")
def job() -> Callable[..., JobSummary]:
    """``job(3)`` has three delivered files, ``job([...])`` those files."""

    def make(files: int | list[FileLine] = 1, **changes: Any) -> JobSummary:
        lines = [a_line(f"{number}.csv") for number in range(files)] if isinstance(files, int) else files
        known: dict[str, Any] = {
            "client_h_number": "H1234",
            "feed": None,
            "configuration": "acme",
            "run_id": "scheduled__2026-03-01T12:00:00+00:00",
            "time": datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC),
            "source": "s3://pickup/acme/",
            "destination": "gs://bucket/acme/",
            "files": lines,
        }
        return JobSummary(**known | changes)

    return make


@pytest.fixture(scope="session")
def read(job) -> Callable[..., Read]:
    """Writes an e-mail, sends it through bytes as a mail server would, and opens it."""

    def make(files: int | list[FileLine] = 1, *, start: bool = False, **changes: Any) -> Read:
        message = (started if start else finished)(job(files, **changes), SENDER, CONTACTS)
        return Read(message_from_bytes(message.as_bytes(policy=policy.SMTP), policy=policy.default))  # type: ignore[arg-type]

    return make
