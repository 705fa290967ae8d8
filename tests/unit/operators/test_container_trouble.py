"""Why a container did not start, or how it ended: what is said, what counts, what waits."""

from __future__ import annotations

import pytest
from airflow.providers.amazon.aws.exceptions import EcsOperatorError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from client_delivery.operators.offload import not_started
from client_delivery.run.container_trouble import ended

CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
VCPUS = "You've reached the limit on the number of vCPUs you can run concurrently"
URL = "https://ecs.us-east-1.amazonaws.com"


def refused(code: str, message: str, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "RunTask")


def listed(*reasons: str) -> EcsOperatorError:
    return EcsOperatorError([{"arn": "a", "reason": reason} for reason in reasons], "response")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused("AccessDeniedException", "not authorized"), "not authorized [AccessDeniedException]. What to do: Air"),
        (refused("ClusterNotFoundException", "no cluster"), "no cluster [ClusterNotFoundException]. What to do: check"),
        (
            refused("ClientException", "TaskDefinition is inactive"),
            "TaskDefinition is inactive [ClientException]. What",
        ),
        (refused("ClientException", "unable to assume the role"), "unable to assume the role [ClientException]. What"),
        (refused("InvalidParameterException", "no subnet"), "no subnet [InvalidParameterException]. What to do: check"),
        (refused("BlockedException", "blocked"), "blocked [BlockedException]"),
        (listed("MISSING"), "MISSING. What to do: check delivery.ecs_cluster"),
        (listed("ATTRIBUTE", "AGENT"), "ATTRIBUTE; AGENT"),
        (NoCredentialsError(), "Unable to locate credentials"),
        (KeyError("a secret"), "unexpected KeyError; see the task's log"),
    ],
)
def test_r8_3_what_people_have_to_mend_is_an_attempt(error, said):
    trouble = not_started(error)
    assert trouble.text.startswith(f"The container could not be started: {said}")
    assert (trouble.counts, trouble.waits) == (True, False)
    assert "a secret" not in trouble.text


@pytest.mark.parametrize(
    "error",
    [
        listed(CAPACITY),
        listed(VCPUS),
        listed("RESOURCE:CPU"),
        refused("ClientException", CAPACITY),
        refused("ThrottlingException", "Rate exceeded"),
        refused("InvalidParameterException", "Error retrieving … (ErrorCode: RequestLimitExceeded)"),
        refused("ServerException", "Service Unavailable", 500),
        refused("SomethingNew", "?", 503),
        EndpointConnectionError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
    ],
)
def test_r6_2_what_time_mends_waits(error):
    trouble = not_started(error)
    assert (trouble.counts, trouble.waits) == (False, True)
    assert "What to do" not in trouble.text


def task(code: int | None = None, stop: str = "", reason: str = "why") -> dict[str, object]:
    return {"containers": [{"exitCode": code} if code is not None else {}], "stopCode": stop, "stoppedReason": reason}


@pytest.mark.parametrize(
    ("stopped", "counts", "waits"),
    [
        (task(stop="TaskFailedToStart", reason="CannotPullContainerError: gone"), True, False),
        (task(0, stop="TaskFailedToStart", reason="CannotPullContainerError: gone"), True, False),
        (task(stop="TaskFailedToStart", reason=CAPACITY), False, True),
        (task(stop="UserInitiated"), False, False),
        (task(stop="SpotInterruption"), False, False),
        (task(reason="no reason that is known"), True, False),
        (task(12), False, False),
        (task(137), False, False),
        (task(143), False, False),
        (task(1), True, False),
        (task(13), True, False),
    ],
)
def test_r6_2_what_had_begun_is_no_attempt(stopped, counts, waits):
    trouble = ended(stopped)
    assert trouble is not None
    assert (trouble.counts, trouble.waits) == (counts, waits)
    assert str(stopped["stoppedReason"]) in trouble.text


@pytest.mark.parametrize("code", [0, 10, 11])
def test_where_the_ledger_says_it_there_is_no_trouble(code):
    assert ended(task(code)) is None
