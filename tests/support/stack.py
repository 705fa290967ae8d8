"""The stand-ins, started once for all tests; each test gets a client of its own on them."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from botocore.loaders import create_loader
from pydantic import TypeAdapter

import client_delivery.access.aws
from client_delivery.config.model import ClientConfig
from local.sshd import SftpServer
from local.stack import Stack
from local.stand_ins import GCS_BUCKET, PICKUP_BUCKET, PICKUP_BUCKETS, S3_BUCKET

_numbers = itertools.count(1)
_BOTOCORE = create_loader()
_DYNAMODB: dict[tuple[str | None, ...], Any] = {}


def _once(make: Callable[..., Any], **options: Any) -> Any:
    """One client for each identity, which is in the environment: every task asks for one, and it costs 50 ms of CPU."""
    if options:
        return make(**options)
    identity = tuple(os.environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"))
    if identity not in _DYNAMODB:
        _DYNAMODB[identity] = make()
    return _DYNAMODB[identity]


@pytest.fixture(scope="session")
def stack(tmp_path_factory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack") / "run") as stack:
        yield stack


@pytest.fixture(scope="session")
def aws(stack) -> Stack:
    """For what needs AWS only."""
    return stack


@pytest.fixture
def delivery_environment(stack, monkeypatch) -> None:
    """This process works against the stand-ins, as a worker would against AWS and Google."""
    # Every task makes clients anew, as it has to; here a thousand of them read botocore's descriptions once.
    monkeypatch.setattr("botocore.session.create_loader", lambda path=None: _BOTOCORE)
    monkeypatch.setattr(
        "client_delivery.access.aws.dynamodb_client", partial(_once, client_delivery.access.aws.dynamodb_client)
    )
    for name, value in stack.environment().items():
        if not name.startswith("AIRFLOW__SECRETS"):
            monkeypatch.setenv(name, value)


@pytest.fixture
def new_client(stack, delivery_environment, monkeypatch) -> Callable[..., ClientConfig]:
    """Makes a client with a pick-up, a ledger partition, a destination and a connection of its own.

    ``pickups="kms"`` or ``"plain"``: a pick-up of that kind, whatever the usual one is.
    """

    def make(destination: str = "s3", *, sftp: SftpServer | None = None, **changes: Any) -> ClientConfig:
        sftp = sftp or stack.sftp
        number = f"{os.getpid() % 1000:03d}{next(_numbers):05d}"
        name = f"client_{number}"
        place: dict[str, Any] = {
            "s3": {"type": "s3", "bucket": S3_BUCKET, "prefix": f"{name}/"},
            "gcs": {"type": "gcs", "bucket": GCS_BUCKET, "prefix": f"{name}/", "connection_id": name},
            "sftp": {
                "type": "sftp",
                "host": sftp.host,
                "port": sftp.port,
                "username": sftp.username,
                "directory": name,
                "connection_id": name,
                "host_keys": [sftp.host_key],
            },
        }[destination]
        if destination == "sftp":
            (sftp.root / name).mkdir()
        by_key = {"private_key": sftp.private_key} if sftp.private_key else {}
        extra = {"gcs": {"keyfile_dict": stack.gcs_key}, "sftp": by_key, "s3": {}}
        connection = {"conn_type": "generic", "extra": json.dumps(extra[destination])}
        if destination == "sftp" and not by_key:
            connection["password"] = sftp.password
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        place |= changes.pop("place", {})
        kind = changes.pop("pickups", None)
        fields: dict[str, Any] = {
            "name": name,
            "client_h_number": f"H{number}",
            "contacts": ["data@example.com"],
            "send_notifications": True,
            "pickup": {"bucket": PICKUP_BUCKETS[kind] if kind else PICKUP_BUCKET, "prefix": f"{name}/"},
            "destination": place,
            "bypass_file_checks": False,
            "trigger_on_done_file": False,
        }
        return TypeAdapter(ClientConfig).validate_python(fields | changes)

    return make
