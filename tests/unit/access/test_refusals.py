"""A call to AWS that may be made only once: what is certain about it, and what is not."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from client_delivery.access.refusals import name_of, refusal_of, refused_entry


def said(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Put")


@pytest.mark.parametrize(
    ("error", "code", "passes", "asked"),
    [
        (said("AccessDeniedException", 403), "AccessDeniedException", False, True),
        (said("ThrottlingException", 400), "ThrottlingException", True, True),
        (said("ServiceUnavailable", 503), "ServiceUnavailable", True, True),
        (said("Throttling", 500), "Throttling", True, True),
        (EndpointConnectionError(endpoint_url="https://e"), "EndpointConnectionError", True, False),
        (ConnectTimeoutError(endpoint_url="https://e"), "ConnectTimeoutError", True, False),
        (NoCredentialsError(), "NoCredentialsError", False, False),
    ],
)
def test_a_call_that_was_certainly_not_accepted(error, code, passes, asked):
    refusal = refusal_of(error)
    assert refusal is not None
    assert (refusal.code, refusal.passes, refusal.asked) == (code, passes, asked)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (said("InternalFailure", 500), "InternalFailure"),
        (said("BadGateway", 502), "BadGateway"),
        (said("GatewayTimeout", 504), "GatewayTimeout"),
        (ReadTimeoutError(endpoint_url="https://e"), "ReadTimeoutError"),
        (ConnectionClosedError(endpoint_url="https://e"), "ConnectionClosedError"),
        (ValueError("ours"), "ValueError"),
    ],
)
def test_a_call_that_may_have_had_its_effect(error, name):
    assert refusal_of(error) is None
    assert name_of(error) == name


@pytest.mark.parametrize(
    ("code", "passes"),
    [("InternalFailure", True), ("ThrottlingException", True), ("NotAuthorizedForSourceException", False)],
)
def test_an_entry_that_eventbridge_refused(code, passes):
    refusal = refused_entry({"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "m"}]})
    assert refusal is not None
    assert (refusal.code, refusal.said, refusal.passes) == (code, "m", passes)
    assert refused_entry({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}) is None
