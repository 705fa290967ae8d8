"""Where the engine sends S3 requests: to the region's own endpoint, by botocore, and on to where S3 says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from botocore.credentials import Credentials

from client_delivery.access.aws import s3_access, s3_client
from client_delivery.transfer.s3_wire.access import S3Access
from client_delivery.transfer.s3_wire.chunked import Held, TrailedBody
from client_delivery.transfer.s3_wire.endpoint import Endpoint

REGIONS = (
    "us-east-1",
    "us-east-2",
    "eu-west-2",
    "eu-central-2",
    "af-south-1",
    "ca-west-1",
    "us-gov-west-1",
    "cn-north-1",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def engine(region: str, bucket: str = "pickup-bucket") -> Endpoint:
    return s3_access(region=region)._endpoint(bucket)


class Sent(Exception):
    """The request went out, to this URL."""


def by_botocore(region: str, bucket: str = "pickup-bucket") -> str:
    """Where botocore's own GetObject goes with the client that the project makes."""
    client = s3_client(region=region)

    def look(request, **_):
        raise Sent(request.url)

    client.meta.events.register("before-send.s3.GetObject", look)
    with pytest.raises(Sent) as sent:
        client.get_object(Bucket=bucket, Key="k")
    return str(sent.value).removesuffix("/k")


@pytest.mark.parametrize("region", REGIONS)
def test_requests_go_to_the_regions_own_endpoint(region):
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    assert engine(region) == Endpoint(f"https://pickup-bucket.s3.{region}.{suffix}", region)
    assert by_botocore(region) == engine(region).url


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://pickup-bucket.s3-fips.us-east-1.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://pickup-bucket.s3.dualstack.us-east-1.amazonaws.com"),
        (
            {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"},
            "https://pickup-bucket.s3-fips.dualstack.us-east-1.amazonaws.com",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "https://bucket.vpce-0a1b2c-3d4e.s3.us-east-1.vpce.amazonaws.com"},
            "https://bucket.vpce-0a1b2c-3d4e.s3.us-east-1.vpce.amazonaws.com/pickup-bucket",
        ),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000/pickup-bucket"),
    ],
)
def test_botocores_settings_are_honoured(settings, url, monkeypatch):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert engine("us-east-1").url == url
    assert by_botocore("us-east-1") == url


def test_a_bucket_with_dots_is_in_the_path_where_tls_knows_no_such_host():
    assert engine("eu-west-2", "a.b.c").url == by_botocore("eu-west-2", "a.b.c")
    assert engine("eu-west-2", "a.b.c").url == "https://s3.eu-west-2.amazonaws.com/a.b.c"


def test_nothing_is_sent_to_find_the_endpoint_and_no_credentials_are_needed(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert engine("eu-west-2").url == "https://pickup-bucket.s3.eu-west-2.amazonaws.com"


HERE = Endpoint("https://pickup-bucket.s3.us-east-1.amazonaws.com", "us-east-1")


@pytest.mark.parametrize(
    ("location", "onward"),
    [
        ("https://pickup-bucket.s3.eu-west-2.amazonaws.com/k", "https://pickup-bucket.s3.eu-west-2.amazonaws.com"),
        (
            "https://pickup-bucket.s3-abc123.amazonaws.com/k?versionId=1",
            "https://pickup-bucket.s3-abc123.amazonaws.com",
        ),
        ("http://pickup-bucket.s3.eu-west-2.amazonaws.com/k", None),
        ("https://pickup-bucket.s3.eu-west-2.amazonaws.com.example.org/k", None),
        ("https://example.org/k", None),
        ("", None),
    ],
)
def test_a_307_is_followed_within_aws_only(location, onward):
    headers = {"location": location, "x-amz-bucket-region": "eu-west-2"}
    found = HERE.redirected(307, headers, "pickup-bucket")
    assert found == (Endpoint(onward, "eu-west-2") if onward else None)


def test_a_307_from_a_bucket_in_the_path_to_its_own_host():
    here = Endpoint("https://s3.us-east-1.amazonaws.com/pickup-bucket", "us-east-1")
    headers = {"location": "https://pickup-bucket.s3.eu-west-2.amazonaws.com/k"}
    assert here.redirected(307, headers, "pickup-bucket").url == "https://pickup-bucket.s3.eu-west-2.amazonaws.com"
    headers = {"location": "https://s3.eu-west-2.amazonaws.com/pickup-bucket/k"}
    assert here.redirected(307, headers, "pickup-bucket").url == "https://s3.eu-west-2.amazonaws.com/pickup-bucket"


@pytest.mark.parametrize("status", [301, 400])
def test_a_bucket_in_another_region_is_found_there(status):
    headers = {"x-amz-bucket-region": "eu-west-2"}
    onward = HERE.redirected(status, headers, "pickup-bucket")
    assert onward == Endpoint("https://pickup-bucket.s3.eu-west-2.amazonaws.com", "eu-west-2")
    assert onward.redirected(status, headers, "pickup-bucket") is None


def test_an_endpoint_that_belongs_to_no_region_is_not_guessed_at():
    here = Endpoint("http://127.0.0.1:5000/pickup-bucket", "us-east-1")
    assert here.redirected(301, {"x-amz-bucket-region": "eu-west-2"}, "pickup-bucket") is None


@pytest.mark.parametrize("status", [200, 403, 404, 412, 503])
def test_other_answers_are_no_redirections(status):
    assert HERE.redirected(status, {"x-amz-bucket-region": "eu-west-2"}, "pickup-bucket") is None


class Service:
    """S3 in the place of the connections: it sends on as it is told, and notes what it was asked."""

    def __init__(self, *responses: tuple[int, dict[str, str]]) -> None:
        self.responses = list(responses)
        self.requests: list[tuple[str, str, bytes]] = []

    def exchange(self, build):
        request = build()
        scope = request.headers["Authorization"].split("/")
        content = request.body if isinstance(request.body, bytes) else b"".join(map(bytes, request.body))
        self.requests.append((request.url, scope[2], content))
        status, headers = self.responses.pop(0) if self.responses else (200, {})
        return SimpleNamespace(status=status, headers=headers, close=lambda: None)


def access(service: Service) -> S3Access:
    return S3Access(s3_client(region="us-east-1"), Credentials("test", "test"), service)


LONDON = "https://pickup-bucket.s3.eu-west-2.amazonaws.com"
TO_LONDON = {"location": f"{LONDON}/k", "x-amz-bucket-region": "eu-west-2"}


def test_a_307_is_followed_signed_anew_and_for_this_request_only():
    service = Service((307, TO_LONDON))
    s3 = access(service)
    body = TrailedBody(Held(b"rows", SimpleNamespace(crc32c="AAAAAA==")))
    assert s3.exchange("PUT", "pickup-bucket", "k", query={"partNumber": "1"}, body=body).status == 200
    assert s3.exchange("GET", "pickup-bucket", "k").status == 200
    first, second, third = service.requests
    assert first[:2] == (f"{HERE.url}/k?partNumber=1", "us-east-1")
    assert second[:2] == (f"{LONDON}/k?partNumber=1", "eu-west-2")
    assert first[2] == second[2] != b""
    assert third[:2] == (f"{HERE.url}/k", "us-east-1")


def test_a_301_is_followed_and_remembered():
    service = Service((301, {"x-amz-bucket-region": "eu-west-2"}))
    s3 = access(service)
    for _ in range(2):
        assert s3.exchange("GET", "pickup-bucket", "k").status == 200
    assert [url for url, _, _ in service.requests] == [f"{HERE.url}/k", f"{LONDON}/k", f"{LONDON}/k"]


def test_who_is_sent_round_in_circles_gives_up():
    service = Service(*[(307, TO_LONDON)] * 10)
    assert access(service).exchange("GET", "pickup-bucket", "k").status == 307
    assert len(service.requests) == 4
