"""What each channel is sent: pure functions from a brief message to the body that the service documents.

What is untrusted goes only where the service formats nothing: into Slack's ``plain_text``, Teams' text runs, and JSON.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from client_delivery.config.notify import Occasion
from client_delivery.notify.brief import Brief
from client_delivery.notify.untrusted import elided

_SLACK_TEXT = 3000
"""Characters in one text of a block: https://docs.slack.dev/reference/block-kit/blocks/section-block."""
_SLACK_HEADER = 150
"""https://docs.slack.dev/reference/block-kit/blocks/header-block."""
_PAGERDUTY_SUMMARY = 1024
"""https://developer.pagerduty.com/docs/send-alert-event."""
_SNS_SUBJECT = 100
"""ASCII, no line break: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html."""
_KEY_PREFIX = "whsec_"
_GOOD, _BAD, _PLAIN = "good", "attention", "default"
SOURCE = "client-delivery"
"""What events on EventBridge say that they come from."""


class SigningKeyError(ValueError):
    """The key of a webhook is none. The message does not quote it."""


def slack(brief: Brief) -> dict[str, Any]:
    """The body for an incoming webhook of Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": elided(brief.title, _SLACK_HEADER), "emoji": False}}
    ]
    for text in ("\n".join(brief.lines), brief.advice):
        if text:
            plain = {"type": "plain_text", "text": elided(text, _SLACK_TEXT), "emoji": False}
            blocks.append({"type": "section", "text": plain})
    if brief.links:
        links = "   ".join(f"<{_slack_escaped(url)}|{name}>" for name, url in brief.links)
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": links}})
    return {"text": _slack_escaped(brief.title), "blocks": blocks}


def _slack_escaped(text: str) -> str:
    """So that nothing is a mention or a link: https://docs.slack.dev/messaging/formatting-message-text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def teams(brief: Brief) -> dict[str, Any]:
    """An adaptive card for the workflow 'When a Teams webhook request is received' of Microsoft Teams.

    https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
    """
    bad = (Occasion.FAILED, Occasion.HELD, Occasion.LATE, Occasion.EXPIRING)
    colour = {**dict.fromkeys(bad, _BAD), Occasion.RECOVERED: _GOOD}

    def line(text: str, **style: Any) -> dict[str, Any]:
        return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}

    body = [
        line(brief.title, weight="bolder", size="medium", color=colour.get(brief.occasion, _PLAIN)),
        *(line(text) for text in brief.lines),
        *([line(brief.advice, isSubtle=True)] if brief.advice else []),
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in brief.links],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def pagerduty(brief: Brief, key: str) -> dict[str, Any]:
    """An event of PagerDuty's Events API v2: one incident for a client's files, and for each expectation.

    https://developer.pagerduty.com/docs/send-alert-event
    """
    warnings = dict.fromkeys((Occasion.HELD, Occasion.LATE, Occasion.EXPIRING), "warning")
    severity = {Occasion.FAILED: "error", **warnings}
    return {
        "routing_key": key,
        "event_action": "resolve" if brief.solved else "trigger",
        "dedup_key": hashlib.sha256(brief.incident.encode()).hexdigest(),
        "client": "Client deliveries",
        "links": [{"href": url, "text": name} for name, url in brief.links],
        "payload": {
            "summary": elided(brief.title, _PAGERDUTY_SUMMARY),
            "source": brief.source,
            "severity": severity.get(brief.occasion, "info"),
            "timestamp": brief.at.astimezone(UTC).isoformat(),
            "custom_details": {"lines": list(brief.lines), "advice": brief.advice, "message_id": brief.id},
        },
    }


def event(brief: Brief) -> dict[str, Any]:
    """The message for programs, the same by webhook, SNS and EventBridge: ``type``, ``timestamp`` and ``data``, as
    Standard Webhooks has it (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""
    return {
        "type": event_type(brief),
        "timestamp": brief.at.astimezone(UTC).isoformat(),
        "data": {"id": brief.id, "title": brief.title, "advice": brief.advice, **brief.data},
    }


def event_type(brief: Brief) -> str:
    """As ``delivery.failed``."""
    return f"delivery.{brief.occasion}"


def as_bytes(body: dict[str, Any]) -> bytes:
    """The very bytes that are sent, and signed."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def sns_subject(brief: Brief) -> str:
    """What an e-mail that SNS makes of it is called."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in brief.title)
    return plain[:_SNS_SUBJECT]


def signed(body: bytes, id_: str, at: datetime, key: str) -> dict[str, str]:
    """The headers by which a receiver knows who sent a webhook, and one that comes again, by Standard Webhooks.

    :param key: base64 after ``whsec_``, of 24 to 64 bytes. Raises :class:`SigningKeyError` for any other.
    """
    try:
        secret = base64.b64decode(key.removeprefix(_KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not key.startswith(_KEY_PREFIX) or not 24 <= len(secret) <= 64:
        raise SigningKeyError(
            "the connection's password is no signing key: expected whsec_ and base64 of 24 to 64 bytes"
        )
    timestamp = str(int(at.timestamp()))
    signature = hmac.new(secret, f"{id_}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": id_,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }
