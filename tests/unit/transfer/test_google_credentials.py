"""R2.2, R2.5: Google's credentials in every form in which they are stored; what is none is described, never quoted."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import Any

import pytest
from airflow.providers.google.get_provider_info import get_provider_info
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials
from google.auth import aws, identity_pool, impersonated_credentials
from google.oauth2 import service_account

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.gcs.credentials import credentials_from, key_id_of
from client_delivery.transfer.secret import Secret
from local.gcs import service_account_key

KEY = {**service_account_key("https://oauth2.googleapis.com"), "universe_domain": "googleapis.com"}
ACCOUNT = KEY["client_email"]
STS = "https://sts.googleapis.com/v1/token"
IMPERSONATE = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken"
AWS: dict[str, Any] = {
    # As `gcloud iam workload-identity-pools create-cred-config … --aws --enable-imdsv2` writes it.
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/aws",
    "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    "token_url": STS,
    "universe_domain": "googleapis.com",
    "service_account_impersonation_url": IMPERSONATE,
    "service_account_impersonation": {"token_lifetime_seconds": 3600},
    "credential_source": {
        "environment_id": "aws1",
        "region_url": "http://169.254.169.254/latest/meta-data/placement/availability-zone",
        "url": "http://169.254.169.254/latest/meta-data/iam/security-credentials",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        "imdsv2_session_token_url": "http://169.254.169.254/latest/api/token",
    },
}
OIDC = {
    **AWS,
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "credential_source": {
        "url": "https://login.example.org/token",
        "headers": {"Metadata": "True"},
        "format": {"type": "json", "subject_token_field_name": "access_token"},
    },
}


def made(**extra: object) -> Any:
    return credentials_from(Secret("acme", extra=extra))


def refusal(secret: Secret) -> str:
    with pytest.raises(DestinationUnavailable) as refused:
        credentials_from(secret)
    assert refused.value.__suppress_context__
    return str(refused.value)


def twice(key: dict[str, str]) -> dict[str, str]:
    return {**key, "private_key": key["private_key"].replace("\n", r"\\n")}


STORED = {
    "an object": KEY,
    "text": json.dumps(KEY),
    "text in lines": json.dumps(KEY, indent=2),
    "newlines escaped twice": {**KEY, "private_key": KEY["private_key"].replace("\n", r"\n")},
    "newlines escaped three times": twice(KEY),
    "text, newlines escaped twice": json.dumps({**KEY, "private_key": KEY["private_key"].replace("\n", r"\n")}),
    "text, newlines escaped not at all": json.dumps(KEY).replace(r"\n", "\n"),
    "JSON in JSON": json.dumps(json.dumps(KEY)),
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps(KEY))),
    "escaped as for a string": json.dumps(json.dumps(KEY))[1:-1],
    "byte-order mark": "\ufeff" + json.dumps(KEY),
    "Base64": base64.b64encode(json.dumps(KEY).encode()).decode(),
    "Base64 in lines": base64.encodebytes(json.dumps(KEY).encode()).decode(),
    "CRLF in the key": {**KEY, "private_key": KEY["private_key"].replace("\n", "\r\n")},
    "blanks in the key": {**KEY, "private_key": KEY["private_key"].replace("\n", " ")},
    "only what matters": {name: KEY[name] for name in ("client_email", "private_key")},
    "Google's older address": {**KEY, "token_uri": "https://accounts.google.com/o/oauth2/token"},
}


@pytest.mark.parametrize("stored", STORED.values(), ids=STORED)
@pytest.mark.parametrize(
    "name", ["keyfile_dict", "extra__google_cloud_platform__keyfile_dict", "credential_config_file"]
)
def test_r2_5_a_service_account_key_in_every_form(stored, name):
    credentials = made(**{name: stored})
    assert isinstance(credentials, service_account.Credentials)
    assert credentials.service_account_email == ACCOUNT
    assert credentials.signer.sign(b"x")  # the key is whole
    assert credentials.scopes == ("https://www.googleapis.com/auth/devstorage.read_write",)


@pytest.mark.parametrize(
    "secret", [Secret("acme", extra=KEY), Secret("acme", password=json.dumps(KEY))], ids=["extra", "password"]
)
def test_r2_5_the_file_in_another_place(secret):
    assert credentials_from(secret).service_account_email == ACCOUNT


def test_r2_5_the_fields_of_airflows_own_form():
    """A field that a newer provider adds is to be looked at: is it read, refused by name, or of no importance?"""
    google = next(
        kind for kind in get_provider_info()["connection-types"] if kind["connection-type"] == "google_cloud_platform"
    )
    fields = set(google["conn-fields"])
    read = {"keyfile_dict", "credential_config_file", "impersonation_chain"}
    refused = {"key_path", "key_secret_name", "idp_issuer_url", "is_anonymous"}
    without_meaning = {"project", "scope", "num_retries", "key_secret_project_id", "idp_extra_parameters"}
    with_another = {"client_id", "client_secret"}  # of idp_issuer_url
    assert fields == read | refused | without_meaning | with_another
    # What the form writes: every field, the empty ones as well.
    form = {**dict.fromkeys(fields), "num_retries": 5, "is_anonymous": False, "project": "acme"}
    assert made(**form | {"keyfile_dict": json.dumps(KEY)}).service_account_email == ACCOUNT
    assert made(**form | {"keyfile_dict": "", "credential_config_file": json.dumps(AWS)})
    for name in refused:
        message = refusal(Secret("acme", extra=form | {name: "/keys/hunter2.json"}))
        assert f"its {name!r} is " in message
        assert "hunter2" not in message


def test_r2_5_acting_as_another_account():
    for chain in (
        "one@p.iam.gserviceaccount.com, two@p.iam.gserviceaccount.com",
        ["one@p.iam.gserviceaccount.com", "two@p.iam.gserviceaccount.com"],
        '["one@p.iam.gserviceaccount.com", "two@p.iam.gserviceaccount.com"]',
    ):
        credentials = made(keyfile_dict=KEY, impersonation_chain=chain)
        assert isinstance(credentials, impersonated_credentials.Credentials)
        assert credentials.service_account_email == "two@p.iam.gserviceaccount.com"
        assert credentials._delegates == ["one@p.iam.gserviceaccount.com"]
        assert credentials._source_credentials.service_account_email == ACCOUNT
    file = {
        "type": "impersonated_service_account",
        "source_credentials": KEY,
        "delegates": [],
        "service_account_impersonation_url": IMPERSONATE,
    }
    credentials = made(keyfile_dict=file)
    assert credentials.service_account_email == "a@b.iam.gserviceaccount.com"
    message = refusal(Secret("acme", extra={"keyfile_dict": KEY, "impersonation_chain": "no address"}))
    assert "a service account that it names is not an e-mail address" in message


def test_federation_keeps_every_field_that_google_knows():
    credentials = made(
        keyfile_dict={
            **OIDC,
            "quota_project_id": "q",
            "client_id": "c",
            "client_secret": "s",
            "token_info_url": "https://sts.googleapis.com/v1/introspect",
        }
    )
    assert isinstance(credentials, identity_pool.Credentials)
    assert credentials.info == {
        **OIDC,
        "quota_project_id": "q",
        "client_id": "c",
        "client_secret": "s",
        "token_info_url": "https://sts.googleapis.com/v1/introspect",
    }
    assert credentials.service_account_email == "a@b.iam.gserviceaccount.com"
    assert credentials.scopes == ("https://www.googleapis.com/auth/devstorage.read_write",)


def test_federation_without_a_service_account_delivers_as_the_pool_itself():
    """Google's direct resource access: https://cloud.google.com/iam/docs/workload-identity-federation."""
    direct = {name: value for name, value in AWS.items() if not name.startswith("service_account_impersonation")}
    credentials = made(keyfile_dict=direct)
    assert isinstance(credentials, aws.Credentials)
    assert credentials.service_account_email is None


@pytest.mark.parametrize("source", [AWS["credential_source"], None, {"environment_id": "aws1"}])
def test_federation_from_aws_takes_botocores_credentials(monkeypatch, source):
    """MWAA and Fargate have no EC2 metadata service, which Google's library would ask."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    credentials = made(keyfile_dict=json.dumps({**AWS, "credential_source": source}))
    assert isinstance(credentials, aws.Credentials)
    assert credentials._service_account_impersonation_options == {"token_lifetime_seconds": 3600}
    told = json.loads(urllib.parse.unquote(credentials.retrieve_subject_token(None)))
    assert told["url"] == "https://sts.eu-central-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    headers = {header["key"].lower(): header["value"] for header in told["headers"]}
    assert headers["x-goog-cloud-target-resource"] == AWS["audience"]
    assert headers["x-amz-security-token"] == "session"
    assert headers["authorization"] == as_botocore_signs(told["url"], headers["x-amz-date"])


def as_botocore_signs(url: str, date: str) -> str:
    """AWS's own library is the judge of the signature."""
    request = AWSRequest("POST", url.replace("?", "/?"), {"X-Amz-Date": date})
    request.context["timestamp"] = date
    signer = SigV4Auth(AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI", "session"), "sts", "eu-central-1")
    request.headers["X-Amz-Security-Token"] = "session"
    canonical = signer.canonical_request(request)
    to_sign = signer.string_to_sign(request, canonical)
    names = signer.signed_headers(signer.headers_to_sign(request))
    scope = f"AKIDEXAMPLE/{signer.credential_scope(request)}"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signer.signature(to_sign, request)}"


WRONG = {
    "nothing": ({}, "it has nothing usable"),
    "other fields": ({"project": "p", "hunter2 hunter2": 1}, "it has the extra 'project', (an odd name)"),
    "broken JSON": ({"keyfile_dict": '{"type": "hunter2'}, "its 'keyfile_dict' is broken JSON"),
    "a path": ({"keyfile_dict": "/keys/hunter2.json"}, "its 'keyfile_dict' is a path, which does not exist"),
    "only the key": (
        {"keyfile_dict": KEY["private_key"]},
        "the whole JSON file is needed, because it names the account",
    ),
    "text": ({"keyfile_dict": "hunter2hunter2"}, "its 'keyfile_dict' is a text of 14 characters that is not JSON"),
    "a list": ({"keyfile_dict": ["hunter2"]}, "its 'keyfile_dict' is not a JSON object but of the type list"),
    "no type": (
        {"keyfile_dict": {"foo": "hunter2"}},
        "neither 'service_account' nor 'external_account'; the file's fields are 'foo'",
    ),
    "unknown type": ({"keyfile_dict": {"type": "hunter2"}}, "the file's fields are 'type'"),
    "a personal login": (
        {"keyfile_dict": {"type": "authorized_user", "refresh_token": "hunter2"}},
        "a person's own login",
    ),
    "an OAuth client": ({"keyfile_dict": {"web": {"client_secret": "hunter2"}}}, "its file is an OAuth client"),
    "no key": (
        {"keyfile_dict": {"type": "service_account", "client_email": "a@b"}},
        "service-account key lacks 'private_key'",
    ),
    "no account": ({"keyfile_dict": {**KEY, "client_email": ""}}, "service-account key lacks 'client_email'"),
    "a cut key": (
        {"keyfile_dict": {**KEY, "private_key": KEY["private_key"][:400]}},
        "the 'private_key' in its service-account key cannot be read: it is a private key, cut off before its END line",
    ),
    "a damaged key": (
        {"keyfile_dict": {**KEY, "private_key": KEY["private_key"].replace(KEY["private_key"][100:140], "")}},
        "the 'private_key' in its service-account key is cut or damaged",
    ),
    "tokens to somebody else": (
        {"keyfile_dict": {**KEY, "token_uri": "https://evil.example/token"}},
        "'token_uri' in its file is not an address of Google's",
    ),
    "tokens in the clear": (
        {"keyfile_dict": {**KEY, "token_uri": "http://oauth2.googleapis.com/token"}},
        "'token_uri' in its file is no",
    ),
    "tokens to a look-alike": (
        {"keyfile_dict": {**AWS, "token_url": "https://sts.googleapis.com.evil.example/"}},
        "'token_url' in its file is no",
    ),
    "tokens to userinfo": (
        {"keyfile_dict": {**AWS, "token_url": "https://sts.googleapis.com@evil.example/"}},
        "'token_url' in its file is no",
    ),
    "acting by somebody else": (
        {"keyfile_dict": {**AWS, "service_account_impersonation_url": "https://evil.example/x@y:generateAccessToken"}},
        "'service_account_impersonation_url' in its file is not an address of Google's",
    ),
    "another cloud": (
        {"keyfile_dict": {**KEY, "universe_domain": "hunter2.example"}},
        "its file is for another cloud ('universe_domain')",
    ),
    "a program": (
        {"keyfile_dict": {**OIDC, "credential_source": {"executable": {"command": "hunter2"}}}},
        "takes its token from a program to run",
    ),
    "a file": (
        {"keyfile_dict": {**OIDC, "credential_source": {"file": "/proc/self/environ"}}},
        "takes its token from a file, which does not exist on a worker",
    ),
    "a certificate": (
        {"keyfile_dict": {**OIDC, "credential_source": {"certificate": {}}}},
        "takes its token from a certificate file",
    ),
    "no source": ({"keyfile_dict": {**OIDC, "credential_source": {}}}, "does not say where its token comes from"),
    "a source that is text": (
        {"keyfile_dict": {**OIDC, "credential_source": "hunter2"}},
        "'credential_source' in its federation configuration is not a JSON object",
    ),
    "a chain that is no list": (
        {"keyfile_dict": KEY, "impersonation_chain": {"hunter2": 1}},
        "'impersonation_chain' is not a list of service accounts",
    ),
    "a chain with a gap": (
        {"keyfile_dict": KEY, "impersonation_chain": ["a@b.iam.gserviceaccount.com", " "]},
        "'impersonation_chain' is not a list of service accounts",
    ),
    "no audience": ({"keyfile_dict": {**AWS, "audience": None}}, "its federation configuration lacks 'audience'"),
}


@pytest.mark.parametrize(("extra", "found"), WRONG.values(), ids=WRONG)
def test_r2_5_what_cannot_be_used_is_described_and_never_quoted(extra, found):
    message = refusal(Secret("acme", extra=extra))
    assert message.startswith("The Airflow connection 'acme' holds no usable Google credential: ")
    assert found in message
    assert "Expected the extra 'keyfile_dict' with Google's JSON file unchanged" in message
    for secret in ("hunter2", KEY["private_key"][40:60], "evil.example", "environ"):
        assert secret not in message


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://169.254.170.2/v2/credentials/abc",
        "https://169.254.169.254/",
        "https://[fd00:ec2::254]/latest",
        "https://localhost/token",
        "https://metadata.google.internal/",
        "https://10.0.0.7/token",
        "http://login.example.org/token",
        "file:///proc/self/environ",
        17,
    ],
)
def test_r2_5_no_token_is_fetched_from_what_stands_beside_us(url):
    source = {**OIDC["credential_source"], "url": url}
    message = refusal(Secret("acme", extra={"keyfile_dict": {**OIDC, "credential_source": source}}))
    assert "takes its token from a 'url' that is no public https address with a name" in message


def test_the_environments_own_endpoint_is_trusted_and_no_other_one():
    """A stand-in, or another Google universe, is named in the environment's settings, never in a partner's file."""
    here = {**KEY, "token_uri": "http://127.0.0.1:4443/token"}
    secret = Secret("acme", extra={"keyfile_dict": here})
    assert credentials_from(secret, "http://127.0.0.1:4443/").service_account_email == ACCOUNT
    with pytest.raises(DestinationUnavailable):
        credentials_from(secret, "http://127.0.0.1:4444")
    there = {**KEY, "universe_domain": "apis-tpc.goog", "token_uri": "https://oauth2.apis-tpc.goog/token"}
    secret = Secret("acme", extra={"keyfile_dict": there})
    assert credentials_from(secret, "https://storage.apis-tpc.goog").service_account_email == ACCOUNT
    with pytest.raises(DestinationUnavailable):
        credentials_from(secret, "https://storage.googleapis.com")


@pytest.mark.parametrize(
    ("file", "found"),
    [
        (KEY, KEY["private_key_id"]),
        ({"type": "impersonated_service_account", "source_credentials": KEY}, KEY["private_key_id"]),
        (AWS, None),
        ({**KEY, "private_key_id": "-----BEGIN PRIVATE KEY-----"}, None),
        ({**KEY, "private_key_id": None}, None),
    ],
    ids=["key", "impersonated", "federated", "no id", "none"],  # the ids of keys are drawn anew in each process
)
def test_a_service_accounts_key_is_known_by_its_id_and_nothing_else_is_passed_on(file, found):
    assert key_id_of(Secret("acme", extra={"keyfile_dict": file})) == found


def test_what_is_no_credential_has_no_id():
    with pytest.raises(DestinationUnavailable, match="holds no usable Google credential"):
        key_id_of(Secret("acme", extra={}))
