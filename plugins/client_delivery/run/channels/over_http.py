"""Slack, Teams, PagerDuty and webhooks: one POST, whose response is not read beyond its status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from client_delivery.notify import bodies
from client_delivery.run.channels.attempt import CONNECT_SECONDS, Address, Hooks, Lost, NotNow, trouble

if TYPE_CHECKING:
    from requests import Session

    from client_delivery.config.notify import NotifyRule
    from client_delivery.notify.brief import Brief

_PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""The statuses of a request that was not carried out, and may be repeated."""
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})
"""The only hosts to which a message goes without TLS."""


@dataclass(frozen=True)
class _Request:
    url: str
    body: bytes
    headers: Mapping[str, str]


def attempt(rule: NotifyRule, brief: Brief, seconds: float, hooks: Hooks) -> None:
    """Send once. Raises :class:`Lost`, :class:`NotNow`, :class:`NotificationError`."""
    request = _request(rule, brief, hooks.address(rule))
    with closing(hooks.session(rule)) as session:
        status = _within(seconds, lambda: _post(rule, session, request, seconds))
    if status in _AGAIN:
        raise NotNow(f"it responded with {status}")
    if status >= 500:
        raise Lost(f"it responded with {status}")
    if not 200 <= status < 300:
        raise trouble(rule, f"it responded with {status}; check the connection's address and key")


def _post(rule: NotifyRule, session: Session, request: _Request, seconds: float) -> int:
    import requests

    try:
        response = session.post(
            request.url,
            data=request.body,
            headers={"Content-Type": "application/json", **request.headers},
            timeout=(min(CONNECT_SECONDS, seconds), seconds),
            # A redirect would take the message, and its secret, to an address that nobody configured.
            allow_redirects=False,
            # The rest of the response is not read.
            stream=True,
        )
        response.close()
    except requests.exceptions.ConnectTimeout:
        raise NotNow("no connection in time") from None
    except requests.exceptions.SSLError:
        raise trouble(rule, "its certificate is not accepted") from None
    except requests.exceptions.ConnectionError as error:
        # Refused, or broken off in the middle: only if it was refused is it certain that nothing arrived.
        if any(kind in repr(error) for kind in ("NewConnectionError", "NameResolutionError")):
            raise NotNow("no connection") from None
        raise Lost("the connection broke") from None
    except requests.exceptions.RequestException as error:
        if isinstance(error, ValueError):  # of the address or a header: nothing was sent
            raise trouble(rule, "its connection has an address or a header that cannot be used") from None
        raise Lost(f"no response ({type(error).__name__})") from None
    status: int = response.status_code
    return status


def _within(seconds: float, call: Callable[[], int]) -> int:
    """The result or exception of ``call``; :class:`Lost` if it takes longer.

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
        raise Lost("no response in time") from None
    if isinstance(result, Exception):
        raise result
    return result


def _request(rule: NotifyRule, brief: Brief, to: Address) -> _Request:
    match rule.via:
        case "slack":
            # As in the Slack provider's own connections: the token, or the whole address.
            base = to.host or "https://hooks.slack.com/services"
            url = to.password if "://" in to.password else f"{base}/{to.password}"
            return _Request(_checked(rule, url), bodies.as_bytes(bodies.slack(brief)), {})
        case "teams":
            return _Request(_checked(rule, to.password or to.host), bodies.as_bytes(bodies.teams(brief)), {})
        case "pagerduty":
            body = bodies.as_bytes(bodies.pagerduty(brief, to.password))
            return _Request(_checked(rule, to.host or _PAGERDUTY), body, {})
        case _:
            body = bodies.as_bytes(bodies.event(brief))
            try:
                headers = bodies.signed(body, brief.id, datetime.now(UTC), to.password)
            except bodies.SigningKeyError as error:
                raise trouble(rule, str(error)) from None
            return _Request(_checked(rule, to.host), body, headers)


def _checked(rule: NotifyRule, url: str) -> str:
    with suppress(ValueError):  # brackets that are no address
        parts = urlsplit(url)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _HERE):
            return url
    raise trouble(rule, "its connection has no address that begins with https://")
