"""What all e-mails share: templates, text and HTML in one message, the table of files, times by a client's clock."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from client_delivery.notify.untrusted import printable

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=select_autoescape(enabled_extensions=("html",)),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(
    template: str, shown: Mapping[str, object], subject: str, sender: str, recipients: Sequence[str]
) -> EmailMessage:
    """The e-mail of a template, as text and as HTML.

    :param shown: what the template shows; what is untrusted in it has been made printable.
    """
    message = EmailMessage()
    message["Subject"] = printable(subject)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    # Keeps out-of-office replies from coming back.
    message["Auto-Submitted"] = "auto-generated"
    # Quoted-printable: SES takes seven bits only, and lines of at most 998.
    text, page = (_templates.get_template(f"{template}.{kind}").render(shown) for kind in ("txt", "html"))
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(page, subtype="html", cte="quoted-printable")
    return message


def attach(message: EmailMessage, table: bytes, client: str) -> None:
    """Give the e-mail its table of all files."""
    name = re.sub(r"[^\w.-]+", "-", f"{client}-files.csv", flags=re.ASCII)
    message.add_attachment(table, maintype="text", subtype="csv", filename=name, params={"charset": "utf-8"})


def clock(time: datetime, zone: str, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment by the client's clock. Raises ``ValueError`` for one without its zone."""
    if time.tzinfo is None:
        raise ValueError(f"the time of a job needs its time zone; {time.isoformat()} has none")
    if zone == "UTC":
        return f"{time.astimezone(UTC):{form}} UTC"
    return f"{time.astimezone(ZoneInfo(zone)):{form} %Z} ({zone})"


def counted(number: int, noun: str) -> str:
    """A number of things, in words."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"
