"""What became of a call to AWS that may be made only once, such as a message or an event: was it certainly not
accepted, or may it have had its effect?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from client_delivery.access.aws import THROTTLED

_PUT_LATER = frozenset({"InternalFailure", "ThrottlingException"})
"""EventBridge's words for one entry that it may accept later
(https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call was certainly not accepted."""

    code: str
    """AWS's error code, or the kind of trouble on the way."""
    said: str
    """AWS's own words; empty if it was not reached."""
    passes: bool
    """Whether a retry may help soon."""
    asked: bool = True
    """Whether AWS was reached at all."""


def refusal_of(error: Exception) -> Refusal | None:
    """Why a call was certainly not accepted; None if it may have had its effect.

    A service that is unavailable or throttles has refused the request
    (https://docs.aws.amazon.com/eventbridge/latest/APIReference/CommonErrors.html); any other failure inside it, and a
    response that was lost, say nothing of what became of it.
    """
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
    )

    if isinstance(error, ClientError):
        refused = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(refused.get("Code", ""))
        passes = code in THROTTLED or status == HTTPStatus.SERVICE_UNAVAILABLE
        if status >= 500 and not passes:
            return None
        return Refusal(code, str(refused.get("Message", "")), passes)
    if isinstance(error, (ConnectTimeoutError, EndpointConnectionError)):
        return Refusal(type(error).__name__, "", passes=True, asked=False)
    if isinstance(error, BotoCoreError) and not isinstance(error, HTTPClientError):
        return Refusal(type(error).__name__, str(error), passes=False, asked=False)
    return None


def name_of(error: Exception) -> str:
    """AWS's error code, or the error's type: neither can contain a secret."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def refused_entry(response: Mapping[str, Any]) -> Refusal | None:
    """Why EventBridge refused the only entry of a call that it accepted."""
    if not response.get("FailedEntryCount"):
        return None
    entry = response["Entries"][0]
    code = str(entry.get("ErrorCode", ""))
    return Refusal(code, str(entry.get("ErrorMessage", "")), passes=code in _PUT_LATER)
