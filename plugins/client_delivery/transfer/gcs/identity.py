"""Who we are to Google: tokens, and what it means when none is given out.

A token service in trouble is not a refused credential. The first is temporary; the second needs a person, and a
person who is told to renew a key that is valid loses trust in every other message.
"""

from __future__ import annotations

import json
import re
import threading
import time
from functools import cached_property
from typing import Any

from google.auth.exceptions import GoogleAuthError, TransportError

from client_delivery.runtime.backoff import Backoff
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.gcs.federation import NoAwsCredentials
from client_delivery.transfer.http.connection import trusted_authorities

_ATTEMPTS = 4
_BACKOFF = Backoff(first=1.0, longest=8.0)
_CONNECT_SECONDS, _READ_SECONDS = 10, 30
_REMEMBERED = 10.0
"""Seconds for which every thread gets the response that one got, so that they do not wait one after the other."""
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_TEMPORARY = ("temporarily_unavailable", "server_error", "internal_failure", "backendError", "UNAVAILABLE")


class Identity:
    """The account that delivers. For any number of threads.

    :param credentials: google-auth's.
    :param connection_id: the Airflow connection that they are from, for messages.
    """

    def __init__(self, credentials: Any, connection_id: str) -> None:
        self._credentials = credentials
        self._connection_id = connection_id
        self._lock = threading.Lock()
        self._failed: tuple[float, DestinationUnavailable] | None = None

    @property
    def account(self) -> str:
        """The service account's address; a general word where the credential does not name one."""
        return str(getattr(self._credentials, "service_account_email", None) or "an identity of workload federation")

    @property
    def token_url(self) -> str:
        """Where tokens are asked for; empty where the credential does not say."""
        return str(
            getattr(self._credentials, "_token_uri", None) or getattr(self._credentials, "_token_url", None) or ""
        )

    def headers(self, method: str, url: str) -> dict[str, str]:
        """What proves to Google who asks; a new token is fetched when the one in use ends.

        Raises :class:`DestinationUnavailable`.
        """
        headers: dict[str, str] = {}
        with self._lock:
            if self._failed and time.monotonic() - self._failed[0] < _REMEMBERED:
                raise DestinationUnavailable(str(self._failed[1]))
            try:
                self._credentials.before_request(self._transport, method, url, headers)
            except (GoogleAuthError, ValueError, TypeError, KeyError) as error:
                unavailable = self._explained(error)
                self._failed = time.monotonic(), unavailable
                raise unavailable from None
        return headers

    def forget_token(self) -> None:
        """Have the next request fetch a new token: this one may have been revoked before its time."""
        with self._lock:
            self._credentials.token = None

    def _explained(self, error: Exception) -> DestinationUnavailable:
        if isinstance(error, NoAwsCredentials):
            return DestinationUnavailable(
                f"There are no AWS credentials with which to prove to Google who we are ({error}). The Airflow "
                f"connection {self._connection_id!r} is not the cause; the next attempt asks again."
            )
        if isinstance(error, _Busy):
            return DestinationUnavailable(_in_trouble(str(error)))
        if isinstance(error, TransportError):
            return DestinationUnavailable(_in_trouble(""))
        if not isinstance(error, GoogleAuthError):
            # Something else responds in place of Google's service, such as a proxy with a page of its own.
            return DestinationUnavailable(_in_trouble("another service responds there"))
        said = reason_of(error)
        if error.retryable or any(word in said for word in _TEMPORARY):
            return DestinationUnavailable(_in_trouble(said))
        return DestinationUnavailable(self._refused(said))

    def _refused(self, said: str) -> str:
        advice = "It has expired, was revoked or is malformed: store a valid one."
        if "iam.serviceAccounts.getAccessToken" in said or "generateAccessToken" in said:
            advice = (
                "It may not act as the service account: grant it roles/iam.workloadIdentityUser (federation) or "
                "roles/iam.serviceAccountTokenCreator on that account."
            )
        elif "timeframe" in said or "iat" in said.split():
            advice = "Google's clock and ours differ: the key itself may be valid."
        return (
            f"Google refuses the credential in the Airflow connection {self._connection_id!r}"
            f"{f' ({said})' if said else ''}. {advice}"
        )

    @cached_property
    def _transport(self) -> Any:
        """How google-auth asks for tokens: by the library that botocore uses as well, not by a second one."""
        import urllib3
        from google.auth.transport.urllib3 import Request as Transport

        ask = Transport(
            urllib3.PoolManager(
                ca_certs=trusted_authorities(),
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
                # A token is sent where the file says and nowhere else, whatever the response there is.
                retries=urllib3.Retry(0, redirect=False),
            )
        )

        def patiently(url: str, **request: Any) -> Any:
            """One request, made again while the service is in trouble: google-auth does so in some places only."""
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    response = ask(url, **request)
                except TransportError:
                    if attempt == _ATTEMPTS:
                        raise
                else:
                    if response.status not in _PASSING:
                        return response
                    if attempt == _ATTEMPTS:
                        raise _Busy(f"HTTP {response.status}")
                _BACKOFF.wait(attempt)
            raise AssertionError

        return patiently


class _Busy(TransportError):
    """The service responds that it cannot, for now."""


def _in_trouble(said: str) -> str:
    what = f"is in trouble ({said})" if said else "cannot be reached"
    return (
        f"Google's token service {what}: the cause is the network or Google, not the credential. The next attempt "
        "asks again."
    )


def reason_of(error: Exception) -> str:
    """What the token service itself said, as far as it is fit to be shown: its code and its description."""
    for part in reversed(error.args):
        value = part
        if isinstance(part, str):
            try:
                value = json.loads(part)
            except ValueError:
                continue
        if isinstance(value, dict):
            inner = value.get("error")
            if isinstance(inner, dict):
                return _shown(f"{inner.get('status', inner.get('code', ''))}: {inner.get('message', '')}")
            return _shown(f"{inner}: {value.get('error_description') or 'no description'}")
    return _shown(str(error.args[0]).replace("Error code ", "")) if error.args else ""


def _shown(text: str) -> str:
    """Plain words only: a token or a key that the service repeats is left out."""
    text = re.sub(r"[^\x20-\x7e]+", " ", text)
    text = re.sub(r"\S{60,}", "…", text)
    return text[:300].strip(" :.")
