"""Sends a brief message by a rule's channel: Slack, Teams, webhooks, PagerDuty, SNS or EventBridge.

No value of a connection reaches a log or an exception: a chat's address is its password, and errors on the way quote
addresses. So an error names its kind and the connection, never the address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.run.addressees import REPEATABLE
from client_delivery.run.channels import by_aws, over_http
from client_delivery.run.channels.attempt import Hooks, Lost, NotNow, trouble
from client_delivery.runtime import backoff

if TYPE_CHECKING:
    from client_delivery.config.notify import NotifyRule
    from client_delivery.notify.brief import Brief

_ATTEMPTS = 3
_BACKOFF = backoff.Backoff(first=1.5, longest=3.0, jitter=False)


def send(rule: NotifyRule, brief: Brief, seconds: float, hooks: Hooks) -> None:
    """Send with three attempts at most, in so many seconds.

    Raises :class:`~client_delivery.notify.sending.NotificationError`; its ``unknown`` has the rule's key if the
    message may have arrived.
    """
    attempt = {"sns": by_aws.to_topic, "eventbridge": by_aws.to_bus}.get(rule.via, over_http.attempt)
    end, attempts = backoff.clock() + seconds, 0
    while True:
        attempts += 1
        left = max(1.0, end - backoff.clock())
        try:
            return attempt(rule, brief, left, hooks)
        except NotNow as error:
            failure = trouble(rule, str(error))
        except Lost as error:
            failure = trouble(rule, f"{error}, so it is not known whether it arrived", unknown=True)
            if rule.via not in REPEATABLE:
                raise failure from None
        pause = _BACKOFF.pause(attempts)
        if attempts == _ATTEMPTS or backoff.clock() + pause + 1 > end:
            raise failure from None
        backoff.sleep(pause)
