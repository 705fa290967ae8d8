"""What an object carries arrives with it, by whichever way the bytes go; encoded content stays the same bytes."""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Mapping

import pytest
from pydantic import TypeAdapter

from client_delivery.access.aws import s3_access
from client_delivery.config.model import DestinationSection as DestinationConfig
from client_delivery.transfer.contract import Job, SourceObject
from client_delivery.transfer.delivering.destinations import open_destination
from client_delivery.transfer.secret import Secret
from local.stand_ins import GCS_BUCKET, PICKUP_BUCKETS, S3_BUCKET
from tests.functional.transfer.conftest import MIB, Journal

_numbers = itertools.count(1)
STREAMED = {"max_bytes_per_second": 2**40}
SAID = {
    "ContentType": "text/csv; charset=utf-8",
    "ContentEncoding": "gzip",
    "ContentDisposition": 'attachment; filename="batch 7.csv"',
    "ContentLanguage": "en",
    "CacheControl": "no-transform",
    "Metadata": {"batch": "7", "sent-by": "claims department"},
}
IN_GCS = {
    "content-type": "text/csv; charset=utf-8",
    "content-encoding": "gzip",
    "content-disposition": 'attachment; filename="batch 7.csv"',
    "content-language": "en",
    "cache-control": "no-transform",
    "x-goog-meta-batch": "7",
    "x-goog-meta-sent-by": "claims department",
}


class Deliveries:
    """One object after the other, from a pick-up like those on AWS."""

    def __init__(self, stack) -> None:
        self.stack = stack
        self.s3 = stack.client("s3")

    def deliver(self, kind: str, size: int, said: Mapping[str, object], **options: object) -> tuple[str, bytes]:
        """Key at the destination, and the bytes that were dropped."""
        key, content = f"carried/{next(_numbers)}.csv.gz", gzip.compress(os.urandom(size))
        bucket = PICKUP_BUCKETS["kms"]
        put = self.s3.put_object(Bucket=bucket, Key=key, Body=content, **said)
        chosen = {"s3": {"bucket": S3_BUCKET}, "gcs": {"bucket": GCS_BUCKET, "connection_id": "test"}}[kind]
        config = TypeAdapter(DestinationConfig).validate_python({"type": kind, **chosen, **options})
        secret = Secret("test", extra={"keyfile_dict": self.stack.gcs_key})
        access = s3_access()
        source = SourceObject(bucket, key, put["ETag"].strip('"'), len(content))
        with open_destination(
            config,
            secret=secret if kind == "gcs" else None,
            source_s3=access,
            destination_s3=access,
            gcs_endpoint=self.stack.gcs_url,
        ) as destination:
            destination.deliver(Job(key, source, 1), Journal())
        return key, content

    def in_s3(self, key: str) -> tuple[dict[str, object], bytes]:
        found = self.s3.get_object(Bucket=S3_BUCKET, Key=key)
        return {name: found[name] for name in SAID if name in found}, found["Body"].read()

    def in_gcs(self, key: str) -> dict[str, str]:
        return next(event for event in self.stack.gcs("events") if event["name"] == key)["carried"]


@pytest.fixture
def deliveries(stack, delivery_environment, monkeypatch) -> Deliveries:
    monkeypatch.setattr("client_delivery.transfer.s3.copying._WHOLE", MIB)
    return Deliveries(stack)


@pytest.mark.parametrize(
    ("size", "options"),
    [(1000, {}), (2 * MIB, {}), (1000, STREAMED), (9 * MIB, STREAMED)],
    ids=["copied", "copied in parts", "streamed", "streamed in parts"],
)
def test_r1_3_what_an_object_carries_arrives_in_s3(deliveries, size, options):
    key, content = deliveries.deliver("s3", size, SAID, **options)
    assert deliveries.in_s3(key) == (SAID, content)
    key, content = deliveries.deliver("s3", size, SAID, keep_metadata=False, **options)
    assert deliveries.in_s3(key) == ({"ContentType": "binary/octet-stream", "Metadata": {}}, content)


@pytest.mark.parametrize(
    ("size", "options"),
    [(1000, {}), (5 * MIB, {}), (5 * MIB, {"publish": "compose"})],
    ids=["in one request", "in parts", "composed"],
)
def test_r1_1_what_an_object_carries_arrives_in_gcs(deliveries, stack, size, options):
    key, content = deliveries.deliver("gcs", size, SAID, **options)
    assert deliveries.in_gcs(key) == IN_GCS
    assert stack.gcs_contents(GCS_BUCKET, key) == {key: content}
    key, _ = deliveries.deliver("gcs", size, SAID, keep_metadata=False, **options)
    assert deliveries.in_gcs(key) == {"content-type": "application/octet-stream"}


def test_a_type_that_nobody_gave_is_not_passed_on(deliveries):
    key, _ = deliveries.deliver("gcs", 1000, {})
    assert deliveries.in_gcs(key) == {"content-type": "application/octet-stream"}
