"""Sends brief messages by Airflow's hooks: HTTP for Slack, Teams, webhooks and PagerDuty, AWS for SNS and EventBridge.

No value of a connection reaches a log or an exception: a chat's address is its password, and what goes wrong on the way
quotes addresses. So an error says what kind it was, and which connection; never where to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk.log import mask_secret

from client_delivery.notify import bodies
from client_delivery.notify.sending import NotificationError
from client_delivery.run.addressees import REPEATABLE
from client_delivery.runtime import backoff

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from requests import Session

    from client_delivery.config.notify import NotifyRule
    from client_delivery.notify.brief import Brief

_CONNECT_SECONDS = 5.0
_PAUSES = (1.0, 3.0)
"""Seconds before the second and the third try."""
_PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""What says that the request was not carried out, and may be repeated."""
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
"""The only hosts to which a message goes without TLS."""


@dataclass(frozen=True)
class _Request:
    url: str
    body: bytes
    headers: Mapping[str, str]


class _Lost(Exception):
    """It is not known whether the message arrived."""


class _NotNow(Exception):
    """It did not arrive, and may in a moment."""


def send(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    """Send by the rule's channel, with three tries at most, in so many seconds.

    Raises :class:`NotificationError`; its ``unknown`` has the rule's key where the message may have arrived.
    """
    attempt = {"sns": _by_sns, "eventbridge": _by_eventbridge}.get(rule.via, _by_http)
    end = backoff.clock() + seconds
    for pause in (*_PAUSES, None):
        left = max(1.0, end - backoff.clock())
        try:
            attempt(rule, brief, left)
        except _NotNow as error:
            trouble: NotificationError = _trouble(rule, str(error))
        except _Lost as error:
            trouble = _trouble(rule, f"{error}, so it is not known whether it arrived", unknown=True)
            if rule.via not in REPEATABLE:
                raise trouble from None
        else:
            return
        if pause is None or backoff.clock() + pause + 1 > end:
            raise trouble from None
        backoff.sleep(pause)


def _trouble(rule: NotifyRule, what: str, *, unknown: bool = False) -> NotificationError:
    return NotificationError(
        f"The message did not go to {rule.where}: {what}.", unknown=(rule.key,) if unknown else (), final=False
    )


# -- HTTP --------------------------------------------------------------------------------------------------------------


def _by_http(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    from airflow.providers.http.hooks.http import HttpHook

    connection = _connection(rule)
    request = _request(rule, brief, connection)
    try:
        # What the connection says of proxies, certificates and headers holds; the address is ours to choose.
        session = HttpHook(method="POST", http_conn_id=str(rule.connection_id)).get_conn()
    except Exception as error:  # it may quote the address
        raise _trouble(rule, f"its Airflow connection cannot be used ({type(error).__name__})") from None
    with closing(session):
        status = _within(seconds, lambda: _post(rule, session, request, seconds))
    if status in _AGAIN:
        raise _NotNow(f"it responded with {status}")
    if status >= 500:
        raise _Lost(f"it responded with {status}")
    if not 200 <= status < 300:
        raise _trouble(rule, f"it responded with {status}; check the connection's address and key")


def _post(rule: NotifyRule, session: Session, request: _Request, seconds: float) -> int:
    import requests

    try:
        response = session.post(
            request.url,
            data=request.body,
            headers={"Content-Type": "application/json", **request.headers},
            timeout=(min(_CONNECT_SECONDS, seconds), seconds),
            # A redirect would take the message, and its secret, to where nobody decided.
            allow_redirects=False,
            # Nobody reads what else it says.
            stream=True,
        )
        response.close()
    except requests.exceptions.ConnectTimeout:
        raise _NotNow("no connection within the time") from None
    except requests.exceptions.SSLError:
        raise _trouble(rule, "its certificate is not accepted") from None
    except requests.exceptions.ConnectionError as error:
        # Refused, or broken off in the middle: only of the first it is known that nothing arrived.
        if any(kind in repr(error) for kind in ("NewConnectionError", "NameResolutionError")):
            raise _NotNow("no connection") from None
        raise _Lost("the connection broke") from None
    except requests.exceptions.RequestException as error:
        raise _Lost(f"no response ({type(error).__name__})") from None
    status: int = response.status_code
    return status


def _within(seconds: float, call: Callable[[], int]) -> int:
    """What ``call`` returns or raises; :class:`_Lost` where it takes longer.

    A timeout of ``requests`` is for each piece that arrives: a server that sends a byte a second never meets it
    (https://requests.readthedocs.io/en/latest/user/quickstart/#timeouts).
    """
    done: Queue[int | Exception] = Queue()

    def run() -> None:
        try:
            done.put(call())
        except Exception as error:
            done.put(error)

    Thread(target=run, daemon=True).start()
    try:
        result = done.get(timeout=seconds + 1)
    except Empty:
        raise _Lost("no response within the time") from None
    if isinstance(result, Exception):
        raise result
    return result


def _connection(rule: NotifyRule) -> Connection:
    from airflow.sdk.bases.hook import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connection: Connection = BaseHook.get_connection(str(rule.connection_id))
    except AirflowNotFoundException:
        raise _trouble(
            rule,
            f"there is no Airflow connection {rule.connection_id!r}; expected it in Secrets Manager as "
            f"airflow/connections/{rule.connection_id}",
        ) from None
    except Exception as error:  # the parser's message may quote the secret
        raise _trouble(rule, f"its Airflow connection cannot be read ({type(error).__name__})") from None
    for value in (connection.password, connection.host):
        if value:
            mask_secret(value)
            mask_secret(urlsplit(value).path)
    return connection


def _request(rule: NotifyRule, brief: Brief, connection: Connection) -> _Request:
    password, host = connection.password or "", connection.host or ""
    match rule.via:
        case "slack":
            # As the Slack provider's own connections have it: the token, or the whole address.
            url = password if "://" in password else f"{host or 'https://hooks.slack.com/services'}/{password}"
            return _Request(_checked(rule, url), bodies.as_bytes(bodies.slack(brief)), {})
        case "teams":
            return _Request(_checked(rule, password or host), bodies.as_bytes(bodies.teams(brief)), {})
        case "pagerduty":
            body = bodies.as_bytes(bodies.pagerduty(brief, password))
            return _Request(_checked(rule, host or _PAGERDUTY), body, {})
        case _:
            body = bodies.as_bytes(bodies.event(brief))
            try:
                headers = bodies.signed(body, brief.id, datetime.now(UTC), password)
            except bodies.SigningKeyError as error:
                raise _trouble(rule, str(error)) from None
            return _Request(_checked(rule, host), body, headers)


def _checked(rule: NotifyRule, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE):
        return url
    raise _trouble(rule, "its connection has no address that begins with https://")


# -- AWS ---------------------------------------------------------------------------------------------------------------


def _by_sns(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    kind = {"DataType": "String", "StringValue": bodies.event_type(brief)}
    _aws(
        rule,
        "sns",
        seconds,
        "publish",
        TopicArn=rule.topic_arn,
        Subject=bodies.sns_subject(brief),
        Message=bodies.as_bytes(bodies.event(brief)).decode(),
        MessageAttributes={"type": kind},
    )


def _by_eventbridge(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    entry = {
        "Source": bodies.SOURCE,
        "DetailType": bodies.event_type(brief),
        "Time": brief.at,
        "Detail": bodies.as_bytes(bodies.event(brief)).decode(),
        "EventBusName": rule.event_bus or "default",
    }
    response = _aws(rule, "events", seconds, "put_events", Entries=[entry])
    # One entry may be refused though the call was not: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html.
    if response["FailedEntryCount"]:
        code = response["Entries"][0].get("ErrorCode", "")
        if code in ("InternalFailure", "ThrottlingException"):
            raise _NotNow(f"EventBridge refuses it [{code}]")
        raise _trouble(rule, f"EventBridge refuses it [{code}]")


def _aws(rule: NotifyRule, service: str, seconds: float, call: str, **request: Any) -> Any:
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
        client = _client(rule.connection_id, service, region, seconds)
        return getattr(client, call)(**request)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if "Throttl" in code or status == HTTPStatus.SERVICE_UNAVAILABLE:
            raise _NotNow(f"AWS refuses it [{code}]") from None
        if status >= 500:
            raise _Lost(f"AWS failed [{code}]") from None
        raise _trouble(rule, f"AWS refuses it [{code}]; check the topic or bus, and what the role may do") from None
    except (ConnectTimeoutError, EndpointConnectionError):
        raise _NotNow("no connection to AWS") from None
    except HTTPClientError as error:
        raise _Lost(f"no response ({type(error).__name__})") from None
    except BotoCoreError as error:
        raise _trouble(rule, f"AWS cannot be called ({type(error).__name__})") from None


def _client(connection_id: str | None, service: str, region: str | None, seconds: float) -> Any:
    if connection_id is None:
        # Airflow's hook would do the same after seconds of CPU: it asks for the hooks of all providers.
        from client_delivery.access.aws import messaging_client

        return messaging_client(service, region, seconds)
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    from botocore.config import Config

    config = Config(
        connect_timeout=min(_CONNECT_SECONDS, seconds), read_timeout=seconds, retries={"total_max_attempts": 1}
    )
    return AwsBaseHook(connection_id, client_type=service, config=config, region_name=region).get_conn()
