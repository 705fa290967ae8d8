"""Secrets Manager in trouble is told from a secret that is missing, refused or unreadable (R2.5)."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError

from client_delivery.access.secrets_manager import NoSecret, read_secret
from client_delivery.transfer.contract import DestinationUnavailable


class SecretsManager:
    def __init__(self, response: object) -> None:
        self._response = response
        self.asked: list[str] = []

    def get_secret_value(self, SecretId: str) -> object:
        self.asked.append(SecretId)
        if isinstance(self._response, Exception):
            raise self._response
        return self._response


@pytest.fixture
def holding(monkeypatch):
    def hold(response: object) -> SecretsManager:
        fake = SecretsManager(response)
        monkeypatch.setattr("client_delivery.access.secrets_manager.secrets_manager_client", lambda region: fake)
        return fake

    return hold


def refused(code: str, message: str = "", status: int = 400) -> ClientError:
    parts = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(parts, "GetSecretValue")


def failure(holding, response: object) -> DestinationUnavailable:
    holding(response)
    with pytest.raises(DestinationUnavailable) as raised:
        read_secret("acme", "airflow/connections")
    assert raised.value.__suppress_context__
    return raised.value


@pytest.mark.parametrize(("prefix", "name"), [("airflow/connections", "airflow/connections/acme"), ("", "acme")])
def test_r2_5_a_secret_is_read_by_its_name(holding, prefix, name):
    fake = holding({"SecretString": '{"password": "pw"}'})
    assert read_secret("acme", prefix).password == "pw"
    assert fake.asked == [name]


def test_r2_5_a_binary_secret_is_read_as_text(holding):
    holding({"SecretBinary": '{"password": "pä"}'.encode()})
    assert read_secret("acme", "airflow/connections").password == "pä"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refused("ResourceNotFoundException"), "There is no secret 'airflow/connections/acme' in Secrets Manager."),
        (refused("AccessDeniedException"), "needs secretsmanager:GetSecretValue on it; a secret encrypted with a key"),
        (refused("DecryptionFailure"), "leave it at the default, aws/secretsmanager"),
        (
            refused(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            ),
            "is marked for deletion. Restore it",
        ),
    ],
    ids=lambda value: value.response["Error"]["Code"] if isinstance(value, ClientError) else "",
)
def test_a_secret_that_is_missing_or_refused_says_so(holding, error, said):
    found = failure(holding, error)
    assert isinstance(found, NoSecret)
    assert said in str(found)


@pytest.mark.parametrize(
    "error",
    [
        refused("ThrottlingException"),
        refused("TooManyRequestsException"),
        refused("InternalServiceError", status=500),
        refused("ServiceUnavailable", status=503),
        EndpointConnectionError(endpoint_url="https://secretsmanager.us-east-1.amazonaws.com"),
        ConnectTimeoutError(endpoint_url="https://secretsmanager.us-east-1.amazonaws.com"),
        NoCredentialsError(),
    ],
    ids=lambda error: error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__,
)
def test_trouble_that_passes_is_no_fault_of_the_secret(holding, error):
    found = failure(holding, error)
    assert not isinstance(found, NoSecret)
    assert "The secret is not the cause; the next attempt asks again." in str(found)


def test_an_expired_identity_is_no_fault_of_the_secret(holding):
    found = failure(holding, refused("ExpiredTokenException"))
    assert not isinstance(found, NoSecret)
    assert "AWS refuses the identity that asked for the secret 'airflow/connections/acme'" in str(found)


@pytest.mark.parametrize("text", ["{broken", "no uri at all", '{"extra": "{not json"}', "[1]"])
def test_r2_5_a_malformed_secret_is_named_and_never_quoted(holding, text):
    found = failure(holding, {"SecretString": text})
    assert str(found).startswith("The secret 'airflow/connections/acme' in Secrets Manager cannot be read: ")
    assert text not in str(found)


def test_boto3s_client_is_the_one_that_is_asked(monkeypatch):
    """The fake above stands for this one."""
    from client_delivery.access.aws import secrets_manager_client

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    client = secrets_manager_client()
    assert (client.meta.service_model.service_name, client.meta.region_name) == ("secretsmanager", "eu-west-1")
    assert secrets_manager_client("us-east-2").meta.region_name == "us-east-2"
