"""The engine against servers that lie, stall and cut: S3 and GCS stand-ins whose bytes are known, SFTP servers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from client_delivery.access.aws import s3_access
from client_delivery.config.model import DestinationSection as DestinationConfig
from client_delivery.transfer.contract import Destination, Job, Receipt, SourceObject
from client_delivery.transfer.delivering.destinations import open_destination
from client_delivery.transfer.secret import Secret
from local.gcs import service_account_key
from local.process import Service
from local.sshd import AsyncSsh, SftpServer
from local.stack import url_of

MIB = 1024**2
_numbers = itertools.count(1)


class Journal:
    """Remembers what the engine told it; ``on_confirm`` is called right before a delivery becomes visible."""

    def __init__(self, on_confirm: Callable[[], None] = lambda: None) -> None:
        self.states: list[Mapping[str, Any]] = []
        self.moved = 0
        self.confirmed = 0
        self._on_confirm = on_confirm

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self.states.append(state)

    def confirm(self) -> None:
        self.confirmed += 1
        self._on_confirm()

    def resumed(self, there: int) -> None:
        self.moved += there

    def progress(self, moved: int) -> None:
        self.moved += moved


class Servers:
    """S3 with declared objects, and GCS."""

    def __init__(self, directory: Path) -> None:
        self.s3 = Service("local.s3", log=directory / "s3.log")
        self.gcs = Service("local.gcs", "--directory", str(directory / "gcs"), log=directory / "gcs.log")
        self.s3_url, self.gcs_url = url_of(self.s3), url_of(self.gcs)
        httpx.post(f"{self.gcs_url}/_local/buckets/target").raise_for_status()
        self.gcs_key = service_account_key(self.gcs_url)
        self.directory = directory

    def declare(self, size: int, key: str | None = None) -> tuple[SourceObject, str]:
        """An object to be read, and its CRC32C."""
        key = key or f"file-{next(_numbers)}.bin"
        items = [{"bucket": "source", "key": key, "size": size}]
        facts = httpx.put(f"{self.s3_url}/_local/objects", json=items, timeout=60).json()[key]
        return SourceObject("source", key, facts["etag"], size), facts["crc32c"]

    def s3_faults(self, *rules: dict[str, Any]) -> None:
        httpx.post(f"{self.s3_url}/_local/faults", json=list(rules)).raise_for_status()

    def gcs_faults(self, *rules: dict[str, Any]) -> None:
        httpx.post(f"{self.gcs_url}/_local/faults", json=list(rules)).raise_for_status()

    def s3_facts(self) -> dict[str, Any]:
        return dict(httpx.get(f"{self.s3_url}/_local/written").json())

    def open_uploads(self, key: str) -> int:
        """Multipart uploads for that key that are neither complete nor aborted."""
        in_gcs = httpx.get(f"{self.gcs_url}/_local/uploads/target").json()
        return [*in_gcs, *self.s3_facts()["open_uploads"]].count(key)

    def visible(self, kind: str) -> dict[str, tuple[int, str]]:
        """What is visible at the destination: size and CRC32C by key."""
        if kind == "s3":
            written = self.s3_facts()["written"]
            return {
                name.removeprefix("target/"): (fact["size"], fact["crc32c"])
                for name, fact in written.items()
                if name.startswith("target/")
            }
        found = {}
        for event in httpx.get(f"{self.gcs_url}/_local/events").json():
            if event["event"] == "visible":
                found[event["name"]] = (event["size"], event["crc32c"])
            else:
                found.pop(event["name"], None)
        return found

    def open(self, kind: str, sftp: SftpServer | None = None, **options: Any) -> Destination:
        """A destination of that kind."""
        chosen: dict[str, Any] = {"type": kind, **options}
        secret = None
        if kind == "sftp":
            assert sftp is not None
            chosen = {
                "type": "sftp",
                "host": sftp.host,
                "port": sftp.port,
                "username": sftp.username,
                "directory": "in",
                "connection_id": "test",
                "host_keys": [sftp.host_key],
                **options,
            }
            secret = Secret(
                "test", password=sftp.password, extra={} if sftp.password else {"private_key": sftp.private_key}
            )
        else:
            chosen["bucket"] = "target"
            if kind == "gcs":
                chosen["connection_id"] = "test"
                secret = Secret("test", extra={"keyfile_dict": self.gcs_key})
        config: Any = TypeAdapter(DestinationConfig).validate_python(chosen)
        access = s3_access()
        return open_destination(
            config, secret=secret, source_s3=access, destination_s3=access, gcs_endpoint=self.gcs_url
        )


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("transfer"))
    yield servers
    servers.s3.stop()
    servers.gcs.stop()


@pytest.fixture
def servers(started: Servers, monkeypatch: pytest.MonkeyPatch) -> Servers:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": started.s3_url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    started.s3_faults()
    started.gcs_faults()
    # Pauses between tries are for real services.
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", lambda seconds: time.sleep(min(seconds, 0.05)))
    return started


@pytest.fixture
def sftp_server(tmp_path: Path) -> Iterator[Callable[..., SftpServer]]:
    """Starts an SFTP server that misbehaves as ordered."""
    running: list[AsyncSsh] = []

    def start(**misbehaviour: Any) -> SftpServer:
        server = AsyncSsh(tmp_path / f"sftp-{len(running)}", **misbehaviour)
        running.append(server)
        (server.server.root / "in").mkdir()
        return server.server

    yield start
    for server in running:
        server.stop()


def deliver(destination: Destination, source: SourceObject, journal: Journal | None = None, **job: Any) -> Receipt:
    """One file, in a destination opened for it."""
    with destination:
        return destination.deliver(Job(source.key, source, **{"token": 1, **job}), journal or Journal())
