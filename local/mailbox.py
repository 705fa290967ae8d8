"""A mailbox with a web page: takes what SES relays to it by SMTP, keeps it in memory, and shows it.

    python -m local.mailbox [--host HOST] [--smtp-port N] [--port N]

The page lists the e-mails; ``/messages/<n>`` shows one as a mail program would, ``/messages`` gives all as JSON.
It also is every chat and webhook: what is posted to ``/hooks/<name>`` is listed below the e-mails, and ``/hooks`` gives
it as JSON, with what Slack would show of it.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import json
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from aiosmtpd.controller import Controller

from local.ports import free_port
from local.process import Service, announce_ready

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Mailbox</title>
<style>body{{font:15px system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}
td,th{{text-align:left;padding:.5rem;border-bottom:1px solid #ddd}}</style>
<h1>Mailbox</h1><p>{count} e-mails, newest first. Reload to see new ones.</p>
<table><tr><th>#</th><th>Subject</th><th>To</th><th>Attachments</th></tr>{rows}</table>
<h2>Chats and webhooks</h2>
<table><tr><th>Where</th><th>What is shown</th><th>Signature</th></tr>{hooks}</table></html>"""


@dataclass(frozen=True)
class Mail:
    """One e-mail as it arrived."""

    subject: str
    sender: str
    recipients: tuple[str, ...]
    text: str
    html: str
    attachments: dict[str, str]
    """File name and text content."""


@dataclass(frozen=True)
class Posted:
    """One message to a chat or webhook as it arrived."""

    where: str
    body: dict[str, Any]
    headers: dict[str, str]
    """Their names in lower case."""

    @property
    def shown(self) -> str:
        """What a person reads of it: the texts of Slack's blocks, or a webhook's title."""
        texts = [block["text"]["text"] for block in self.body.get("blocks", ())]
        return "\n".join(texts) or str(self.body.get("data", {}).get("title", self.body))


class Mailbox:
    """A mailbox that runs, and what is in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def messages(self) -> list[Mail]:
        """All e-mails, oldest first."""
        return [
            Mail(**{**item, "recipients": tuple(item["recipients"])})
            for item in httpx.get(f"{self.url}messages", timeout=10).json()
        ]

    def posted(self) -> list[Posted]:
        """What came to chats and webhooks, oldest first."""
        return [Posted(**item) for item in httpx.get(f"{self.url}hooks", timeout=10).json()]

    def clear(self) -> None:
        """Throw everything away."""
        httpx.delete(f"{self.url}messages", timeout=10).raise_for_status()


class MailboxProcess(Mailbox):
    """The mailbox in its own process."""

    def __init__(self, directory: Path) -> None:
        self._service = Service("local.mailbox", log=directory / "mailbox.log")
        self.smtp_port = self._service.facts["smtp_port"]
        super().__init__(f"http://127.0.0.1:{self._service.facts['port']}/")

    def stop(self) -> None:
        """End the server."""
        self._service.stop()


class _Inbox:
    """Where aiosmtpd puts what arrives."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.posted: list[Posted] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Called by aiosmtpd for each e-mail."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append(_read(message, envelope.mail_from, envelope.rcpt_tos))
        return "250 OK"


def _read(message: EmailMessage, sender: str, recipients: list[str]) -> Mail:
    def body(kind: str) -> str:
        part = message.get_body(preferencelist=(kind,))
        return part.get_content() if part else ""

    attachments = {}
    for part in message.iter_attachments():
        content = part.get_payload(decode=True)
        attachments[part.get_filename() or ""] = content.decode("utf-8-sig") if isinstance(content, bytes) else ""
    return Mail(str(message["subject"]), sender, tuple(recipients), body("plain"), body("html"), attachments)


class _Page(BaseHTTPRequestHandler):
    inbox: _Inbox

    def do_GET(self) -> None:
        """The list, one e-mail, or all as JSON."""
        mails = self.inbox.mails
        if self.path == "/messages":
            self._respond(json.dumps([asdict(mail) for mail in mails]), "application/json")
        elif self.path == "/hooks":
            self._respond(json.dumps([asdict(posted) for posted in self.inbox.posted]), "application/json")
        elif self.path.startswith("/messages/"):
            number = int(self.path.rpartition("/")[2])
            self._respond(mails[number].html or f"<pre>{escape(mails[number].text)}</pre>")
        else:
            rows = "".join(
                f'<tr><td>{number}</td><td><a href="/messages/{number}">{escape(mail.subject)}</a></td>'
                f"<td>{escape(', '.join(mail.recipients))}</td><td>{escape(', '.join(mail.attachments))}</td></tr>"
                for number, mail in reversed(list(enumerate(mails)))
            )
            hooks = "".join(
                f'<tr><td>{escape(posted.where)}</td><td style="white-space:pre-line">{escape(posted.shown)}</td>'
                f"<td>{escape(posted.headers.get('webhook-signature', ''))}</td></tr>"
                for posted in reversed(self.inbox.posted)
            )
            self._respond(_PAGE.format(count=len(mails), rows=rows, hooks=hooks))

    def do_POST(self) -> None:
        """A message to a chat or webhook."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.inbox.posted.append(Posted(self.path.removeprefix("/hooks/"), body, headers))
        self._respond("ok")

    def do_DELETE(self) -> None:
        """Throw everything away."""
        self.inbox.mails.clear()
        self.inbox.posted.clear()
        self._respond("")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _respond(self, body: str, content_type: str = "text/html") -> None:
        content = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--smtp-port", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    inbox = _Inbox()
    page = type("Page", (_Page,), {"inbox": inbox})
    server = ThreadingHTTPServer((arguments.host, arguments.port), page)
    smtp = Controller(
        inbox, hostname=arguments.host, port=arguments.smtp_port or free_port(), data_size_limit=50 * 1024**2
    )
    smtp.start()
    announce_ready(port=server.server_port, smtp_port=smtp.port)
    server.serve_forever()


if __name__ == "__main__":
    main()
