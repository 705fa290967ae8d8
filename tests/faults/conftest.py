"""This process, which recovers what the children leave, imports the same as they."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from tests.faults.deliveries import WATCHED_BUCKET


@pytest.fixture(scope="package", autouse=True)
def preloaded() -> None:
    importlib.import_module("tests.faults.preload")


@pytest.fixture(scope="package", autouse=True)
def watched(stack) -> None:
    """A bucket that keeps whatever was ever to be seen in it."""
    s3 = stack.client("s3")
    s3.create_bucket(Bucket=WATCHED_BUCKET)
    s3.put_bucket_versioning(Bucket=WATCHED_BUCKET, VersioningConfiguration={"Status": "Enabled"})


@pytest.fixture(autouse=True)
def index_up_to_date_afterwards(stack) -> Iterator[None]:
    """However a test that lets the ledger's index lag ends."""
    yield
    stack.order_index_lag(0)
