"""What S3's refusals say to people: which pick-up, what was to be done, and who has to do what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from client_delivery.pickup.pickup import PickupError
from client_delivery.pickup.place import explained


def config(role_arn: str | None = None) -> Any:
    return SimpleNamespace(name="acme", pickup=SimpleNamespace(bucket="drop", role_arn=role_arn))


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "ListObjectsV2")


ROLE = "arn:aws:iam::111122223333:role/reads"
OWN = "access denied to the environment's execution role; have its policy and the bucket's policy allow it"


@pytest.mark.parametrize(
    ("error", "role", "advice"),
    [
        (refused("AccessDenied"), None, f"{OWN} [AccessDenied]"),
        (refused("403"), None, f"{OWN} [403]"),
        (refused("AccessDenied"), ROLE, OWN.replace("the environment's execution role", f"the role {ROLE}")),
        (
            refused("NoSuchBucket"),
            None,
            "there is no bucket 'drop'; correct pickup.bucket, or have it created [NoSuchBucket]",
        ),
        (refused("ExpiredToken"), None, "the AWS credentials have expired; the next try takes new ones [ExpiredToken]"),
        (refused("SlowDown"), None, "(SlowDown) when calling the ListObjectsV2 operation: no [SlowDown]"),
        (
            EndpointConnectionError(endpoint_url="https://s3"),
            None,
            'Could not connect to the endpoint URL: "https://s3" [EndpointConnectionError]',
        ),
    ],
    ids=["denied", "denied a HEAD", "denied to a role", "no bucket", "expired", "anything else", "no connection"],
)
def test_a_refusal_says_where_and_what_to_do(error, role, advice):
    with pytest.raises(PickupError) as told, explained(config(role), "list", "acme/"):
        raise error
    assert str(told.value).startswith("Cannot list s3://drop/acme/ in the pick-up of acme: ")
    assert advice in str(told.value)
    assert told.value.__cause__ is error


def test_what_is_no_refusal_of_s3_passes_as_it_is():
    with pytest.raises(KeyError), explained(config(), "list", "acme/"):
        raise KeyError("etag")
