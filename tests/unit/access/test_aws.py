"""Roles that configurations name: a token service in trouble is told from a role that may not be assumed."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError, EndpointConnectionError

from client_delivery.access.aws import IdentityUnavailable, s3_access, s3_client
from client_delivery.transfer.contract import DestinationUnavailable

ROLE = "arn:aws:iam::111122223333:role/partner-landing-writer"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def sts(monkeypatch):
    """What AssumeRole answers."""

    def answer(error: Exception) -> None:
        def get_credentials(fetcher: object) -> object:
            raise error

        monkeypatch.setattr("botocore.credentials.AssumeRoleCredentialFetcher._get_credentials", get_credentials)

    return answer


def refused(code: str, message: str = "", status: int = 400) -> ClientError:
    parts = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(parts, "AssumeRole")


def failures() -> list[str]:
    """What the engine's own requests and botocore's say: both sign with the same credentials."""
    said = []
    access = s3_access(role_arn=ROLE)
    for call in (
        lambda: access.exchange("HEAD", "bucket", "key"),
        lambda: s3_client(role_arn=ROLE).head_object(Bucket="bucket", Key="key"),
    ):
        with pytest.raises(DestinationUnavailable) as raised:
            call()
        assert isinstance(raised.value, IdentityUnavailable)
        said.append(str(raised.value))
    return said


@pytest.mark.parametrize(
    "error",
    [
        refused("Throttling"),
        refused("ServiceUnavailable", status=503),
        refused("InternalFailure", status=500),
        EndpointConnectionError(endpoint_url="https://sts.amazonaws.com"),
    ],
)
def test_aws_token_service_in_trouble_does_not_blame_the_role(sts, error):
    sts(error)
    for message in failures():
        assert message.startswith(f"AWS's token service cannot provide the role {ROLE} at the moment [")
        assert "The role is not the cause; the next attempt asks again." in message


def test_a_role_that_may_not_be_assumed_says_what_it_needs_and_what_aws_says(sts):
    sts(refused("AccessDenied", "User: arn:x is not authorized to perform: sts:AssumeRole on resource: y", 403))
    for message in failures():
        assert message.startswith(f"The role {ROLE} cannot be assumed [AccessDenied]. Its trust policy must name")
        assert message.endswith("AWS says: User: arn:x is not authorized to perform: sts:AssumeRole on resource: y")


def test_an_expired_identity_of_our_own_does_not_blame_the_role(sts):
    sts(refused("ExpiredToken", status=403))
    for message in failures():
        assert "The role is not the cause; the next attempt asks with new credentials." in message


def test_no_credentials_at_all_are_said(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(IdentityUnavailable, match=r"There are no AWS credentials \(no role is attached\)"):
        s3_access(role_arn=ROLE)

    def broken(self: object) -> None:
        raise CredentialRetrievalError(provider="container-role", error_msg="hunter2")

    monkeypatch.setattr("botocore.session.Session.get_credentials", broken)
    with pytest.raises(
        IdentityUnavailable, match=r"There are no AWS credentials \(CredentialRetrievalError\)"
    ) as raised:
        s3_access()
    assert "hunter2" not in str(raised.value)
