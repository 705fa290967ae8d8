"""Topics of Amazon SNS and buses of Amazon EventBridge."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

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
    # One entry may be refused though the call was not: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html.
    if response["FailedEntryCount"]:
        code = response["Entries"][0].get("ErrorCode", "")
        if code in ("InternalFailure", "ThrottlingException"):
            raise NotNow(f"EventBridge refuses it [{code}]")
        raise trouble(rule, f"EventBridge refuses it [{code}]")


def _call(rule: NotifyRule, hooks: Hooks, service: str, seconds: float, call: str, **request: Any) -> Any:
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
    )

    where = rule.topic_arn if service == "sns" else rule.event_bus
    region = where.split(":")[3] if where and where.startswith("arn:") else None
    try:
        client = hooks.aws(rule.connection_id, service, region, seconds)
        return getattr(client, call)(**request)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if "Throttl" in code or status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise NotNow(f"AWS refuses it [{code}]") from None
        if status >= 500:
            raise Lost(f"AWS failed [{code}]") from None
        raise trouble(rule, f"AWS refuses it [{code}]; check the topic or bus, and what the role may do") from None
    except (ConnectTimeoutError, EndpointConnectionError):
        raise NotNow("no connection to AWS") from None
    except HTTPClientError as error:
        raise Lost(f"no response ({type(error).__name__})") from None
    except BotoCoreError as error:
        raise trouble(rule, f"AWS cannot be called ({type(error).__name__})") from None
