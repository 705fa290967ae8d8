"""Topics of Amazon SNS and buses of Amazon EventBridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client_delivery.access.refusals import Refusal, name_of, refusal_of, refused_entry
from client_delivery.notify import bodies
from client_delivery.run.channels.attempt import Hooks, Lost, NotNow, trouble

if TYPE_CHECKING:
    from client_delivery.config.notify import NotifyRule
    from client_delivery.notify.brief import Brief


def to_topic(rule: NotifyRule, brief: Brief, seconds: float, hooks: Hooks) -> None:
    """Publish once. Raises :class:`Lost`, :class:`NotNow`, :class:`NotificationError`."""
    kind = {"DataType": "String", "StringValue": bodies.event_type(brief)}
    _call(
        rule,
        hooks,
        "sns",
        seconds,
        "publish",
        TopicArn=rule.topic_arn,
        Subject=bodies.sns_subject(brief),
        Message=bodies.as_bytes(bodies.event(brief)).decode(),
        MessageAttributes={"type": kind},
    )


def to_bus(rule: NotifyRule, brief: Brief, seconds: float, hooks: Hooks) -> None:
    """Put one event, once. Raises :class:`Lost`, :class:`NotNow`, :class:`NotificationError`."""
    entry = {
        "Source": bodies.SOURCE,
        "DetailType": bodies.event_type(brief),
        "Time": brief.at,
        "Detail": bodies.as_bytes(bodies.event(brief)).decode(),
        "EventBusName": rule.event_bus or "default",
    }
    response = _call(rule, hooks, "events", seconds, "put_events", Entries=[entry])
    if refusal := refused_entry(response):
        raise _not_sent(rule, refusal, f"EventBridge refuses it [{refusal.code}]")


def _call(rule: NotifyRule, hooks: Hooks, service: str, seconds: float, call: str, **request: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    where = rule.topic_arn if service == "sns" else rule.event_bus
    region = where.split(":")[3] if where and where.startswith("arn:") else None
    try:
        client = hooks.aws(rule.connection_id, service, region, seconds)
        return getattr(client, call)(**request)
    except (BotoCoreError, ClientError) as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise Lost(f"AWS failed or did not respond [{name_of(error)}]") from None
        raise _not_sent(rule, refusal, _why(refusal)) from None


def _why(refusal: Refusal) -> str:
    if not refusal.asked:
        return f"AWS cannot be {'reached' if refusal.passes else 'called'} ({refusal.code})"
    advice = "" if refusal.passes else "; check the topic or bus, and what the role may do"
    return f"AWS refuses it [{refusal.code}]{advice}"


def _not_sent(rule: NotifyRule, refusal: Refusal, what: str) -> Exception:
    return NotNow(what) if refusal.passes else trouble(rule, what)
