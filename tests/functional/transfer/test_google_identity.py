"""Tokens from Google: trouble is told from refusal everywhere, and federation works where MWAA and Fargate run."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from google.auth.exceptions import OAuthError, RefreshError

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.gcs.credentials import credentials_from
from client_delivery.transfer.gcs.identity import _ATTEMPTS, Identity, reason_of
from client_delivery.transfer.secret import Secret
from tests.functional.transfer.conftest import deliver

AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/aws"
ACCOUNT = "landing@partner.iam.gserviceaccount.com"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", lambda seconds: time.sleep(min(seconds, 0.05)))


@pytest.fixture
def federation(servers, monkeypatch) -> Iterator[dict[str, object]]:
    """A federation file, and credentials only from a container endpoint, as in Fargate and on MWAA's workers."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ends = datetime.now(UTC) + timedelta(hours=6)
            body = {
                "AccessKeyId": "ASIACONTAINER",
                "SecretAccessKey": "container-secret",
                "Token": "container-session",
                "Expiration": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
            }
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    monkeypatch.setenv(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{endpoint.server_port}/v2/credentials/x"
    )
    account = f"{servers.gcs_url}/v1/projects/-/serviceAccounts/{ACCOUNT}"
    yield {
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": f"{servers.gcs_url}/v1/token",
        "service_account_impersonation_url": f"{account}:generateAccessToken",
        "service_account_impersonation": {"token_lifetime_seconds": 1200},
    }
    endpoint.shutdown()
    endpoint.server_close()


def federated(servers, file, monkeypatch) -> None:
    """The destination's connection holds this file from now on."""
    monkeypatch.setattr(servers, "gcs_key", file)


def refusal(servers, source=None) -> str:
    source = source or servers.declare(1000)[0]
    with pytest.raises(DestinationUnavailable) as refused:
        deliver(servers.open("gcs"), source)
    assert source.key not in servers.visible("gcs")
    return str(refused.value)


def test_r2_2_federation_with_credentials_from_the_container_endpoint(servers, federation, monkeypatch):
    federated(servers, federation, monkeypatch)
    source, crc32c = servers.declare(1000)
    assert deliver(servers.open("gcs"), source).checksum == f"crc32c:{crc32c}"
    tokens = httpx.get(f"{servers.gcs_url}/_local/tokens").json()
    assert tokens["federated"][-1] == "ASIACONTAINER"
    assert tokens["impersonated"][-1] == [ACCOUNT, 1200]


def test_federation_without_aws_credentials_blames_neither_google_nor_the_file(servers, federation, monkeypatch):
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    identity = identity_of(servers, federation)
    with pytest.raises(DestinationUnavailable, match=r"There are no AWS credentials .* \(no role is attached\)"):
        identity.headers("GET", servers.gcs_url)


def test_a_container_endpoint_in_trouble_blames_neither_google_nor_the_file(servers, federation, monkeypatch):
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/nobody")
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    identity = identity_of(servers, federation)
    with pytest.raises(DestinationUnavailable, match=r"There are no AWS credentials .* \(CredentialRetrievalError\)"):
        identity.headers("GET", servers.gcs_url)


def identity_of(servers, file) -> Identity:
    return Identity(credentials_from(Secret("acme", extra={"keyfile_dict": file}), servers.gcs_url), "acme")


CALLS = ["token", "sts.ExchangeToken", "iam.GenerateAccessToken"]


def prepared(servers, federation, monkeypatch, call) -> None:
    if call != "token":
        federated(servers, federation, monkeypatch)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [429, 503])
def test_a_token_service_in_trouble_is_not_a_refused_credential(servers, federation, monkeypatch, call, status):
    prepared(servers, federation, monkeypatch, call)
    servers.gcs_faults({"call": call, "status": status, "code": "backendError", "times": 0})
    message = refusal(servers)
    assert message == (
        f"Google's token service is in trouble (HTTP {status}): the cause is the network or Google, not the "
        "credential. The next attempt asks again."
    )


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("trouble", [{"status": 502}, {"reset": "before"}])
def test_passing_trouble_is_waited_for_within_the_attempt(servers, federation, monkeypatch, call, trouble):
    prepared(servers, federation, monkeypatch, call)
    servers.gcs_faults({"call": call, **trouble, "times": 2})
    source, crc32c = servers.declare(1000)
    assert deliver(servers.open("gcs"), source).checksum == f"crc32c:{crc32c}"


@pytest.mark.parametrize("call", CALLS)
def test_a_token_service_that_breaks_off_is_not_a_refused_credential(servers, federation, monkeypatch, call):
    prepared(servers, federation, monkeypatch, call)
    servers.gcs_faults({"call": call, "reset": "before", "times": 0})
    assert refusal(servers).startswith("Google's token service cannot be reached: the cause is the network or Google")


def test_a_token_service_that_is_silent_is_given_up(servers, monkeypatch):
    """One that accepts the connection and says nothing: the way out of a network that swallows packets."""
    monkeypatch.setattr("client_delivery.transfer.gcs.identity._READ_SECONDS", 0.2)
    source, _ = servers.declare(1000)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(servers, "gcs_key", {**servers.gcs_key, "token_uri": f"{where}/token"})
        monkeypatch.setattr(servers, "gcs_url", where)
        began = time.monotonic()
        with pytest.raises(DestinationUnavailable, match="token service cannot be reached"):
            deliver(servers.open("gcs"), source)
    assert time.monotonic() - began < 20


REFUSALS = [
    ("token", 400, "invalid_grant", "(invalid_grant: fault on order). It has expired, was revoked or is malformed"),
    ("token", 401, "invalid_client", "(invalid_client: fault on order). It has expired, was revoked or is malformed"),
    ("sts.ExchangeToken", 400, "invalid_grant", "(invalid_grant: fault on order). It has expired"),
    ("sts.ExchangeToken", 403, "unauthorized_client", "(unauthorized_client: fault on order). It has expired"),
    ("iam.GenerateAccessToken", 403, "PERMISSION_DENIED", "(PERMISSION_DENIED: fault on order)"),
    ("iam.GenerateAccessToken", 404, "NOT_FOUND", "(NOT_FOUND: fault on order)"),
]


@pytest.mark.parametrize(("call", "status", "code", "said"), REFUSALS)
def test_a_refusal_keeps_googles_own_reason(servers, federation, monkeypatch, call, status, code, said):
    prepared(servers, federation, monkeypatch, call)
    servers.gcs_faults({"call": call, "status": status, "code": code, "times": 0})
    message = refusal(servers)
    assert message.startswith("Google refuses the credential in the Airflow connection 'test' ")
    assert said in message


@pytest.mark.parametrize("code", ["temporarily_unavailable"])
def test_trouble_that_google_words_as_a_refusal_is_trouble(servers, code):
    """RFC 6749 has codes for a server in trouble, which come with status 400."""
    servers.gcs_faults({"call": "token", "status": 400, "code": code, "times": 0})
    assert refusal(servers).startswith("Google's token service is in trouble (")


def test_what_answers_in_the_place_of_the_service_is_no_refusal(servers, monkeypatch):
    """A proxy's page, with status 200."""
    servers.gcs_faults({"call": "token", "truncate": 5, "times": 0})
    assert "not the credential" in refusal(servers)


def test_r2_5_a_token_that_the_service_repeats_is_not_shown():
    secret = "eyJ" + "a" * 200
    told = {"error": "invalid_grant", "error_description": f"cannot read {secret}\n\x1b[31mnow"}
    expected = "invalid_grant: cannot read … [31mnow"
    assert reason_of(RefreshError("invalid_grant: x", told)) == expected
    assert reason_of(OAuthError("Error code invalid_grant: x", json.dumps(told))) == expected
    iam = {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Permission 'iam.x' denied"}}
    assert reason_of(RefreshError("Unable", json.dumps(iam))) == "PERMISSION_DENIED: Permission 'iam.x' denied"
    assert reason_of(RefreshError()) == ""
    assert len(reason_of(RefreshError("word " * 500))) <= 300


def test_threads_do_not_wait_for_the_same_trouble_one_behind_the_other(servers):
    httpx.delete(f"{servers.gcs_url}/_local/requests")
    servers.gcs_faults({"call": "token", "status": 503, "times": 0})
    identity = identity_of(servers, servers.gcs_key)
    failures: list[str] = []

    def ask() -> None:
        try:
            identity.headers("GET", servers.gcs_url)
        except DestinationUnavailable as error:
            failures.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(failures) == 8
    assert len(set(failures)) == 1
    assert httpx.get(f"{servers.gcs_url}/_local/requests").json()["token"] == _ATTEMPTS
