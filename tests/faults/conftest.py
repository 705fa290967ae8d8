"""What every child of a crash test would import again is imported once, before it forks."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from functools import cache

import botocore.loaders
import pytest

_HEAVY = (
    "aiobotocore.session",
    "airflow.providers.amazon.aws.operators.ecs",
    "airflow.providers.amazon.aws.hooks.ses",
    "boto3",
    "delivery.aws",
    "delivery.operators.offload",
    "delivery.transfer.destinations",
    "delivery.transfer.gcs.destination",
    "delivery.transfer.s3.destination",
    "delivery.transfer.sftp.destination",
    "google.auth.transport.urllib3",
    "google.oauth2.service_account",
)


@pytest.fixture(scope="package", autouse=True)
def imported() -> Iterator[None]:
    for name in _HEAVY:
        importlib.import_module(name)
    # And botocore reads its descriptions of the services once, not for every client of every child.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(botocore.loaders.create_loader))
        yield
