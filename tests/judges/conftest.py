"""Object stores that nobody here wrote, in an environment of their own: ``make judges``.

They are no part of ``.venv``, so that what they need never meets MWAA's pins. Each is started on its first use.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from local.ports import free_port
from local.process import start, stop
from local.wait import wait_for_port, wait_until
from tests.judges.lies import LIES

_MINISTACKS_MOST = 1024**2
ENVIRONMENT = Path(__file__).parents[2] / ".judges"


@dataclass(frozen=True)
class Judge:
    """One that runs."""

    name: str
    url: str


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A judge's own lie is expected to fail the test that meets it; one that is mended fails the gate (strict)."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        judge = callspec and callspec.params.get("judge", callspec.params.get("bucket"))
        if not judge:
            continue
        if judge == "ministack" and callspec.params.get("size", 0) > _MINISTACKS_MOST:
            item.add_marker(pytest.mark.skip(reason="MiniStack takes about a minute for 21 MiB: small objects only"))
        for pattern, reason in LIES.get(judge, {}).items():
            if item.name.startswith(pattern):
                item.add_marker(pytest.mark.xfail(reason=f"{judge}: {reason}", strict=True))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Judge]]:
    """Starts a judge, once."""
    if not (ENVIRONMENT / ".ready").exists():
        pytest.skip("the judges are not installed: make judges")
    started: dict[str, tuple[Judge, subprocess.Popen[bytes]]] = {}

    def judge_of(name: str) -> Judge:
        if name not in started:
            directory = tmp_path_factory.mktemp(name)
            port = free_port()
            command, environment = _COMMANDS[name](directory, port)
            log = directory / "judge.log"
            process = start(command, log=log, env={**os.environ, **environment})
            started[name] = Judge(name, f"http://127.0.0.1:{port}"), process
            wait_for_port(port, process, log)
        return started[name][0]

    yield judge_of
    for _, process in started.values():
        stop(process, patience=20)


def _program(name: str) -> str:
    return str(ENVIRONMENT / "bin" / name)


def _seaweedfs(directory: Path, port: int) -> tuple[list[str], dict[str, str]]:
    options = [f"-dir={directory}", "-ip=127.0.0.1", f"-s3.port={port}", "-admin.ui=false", "-webdav=false"]
    for part in ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"):
        options.append(f"-{part}={free_port()}")
    options += [f"-{part}={free_port()}" for part in ("s3.port.grpc", "admin.port", "admin.port.grpc")]
    # With a key of its own it verifies every signature.
    return [_program("weed"), "mini", *options], {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def _ministack(directory: Path, port: int) -> tuple[list[str], dict[str, str]]:
    return [_program("ministack")], {"GATEWAY_PORT": str(port), "SERVICES": "s3", "S3_DATA_DIR": str(directory)}


_COMMANDS: dict[str, Callable[[Path, int], tuple[list[str], dict[str, str]]]] = {
    "seaweedfs": _seaweedfs,
    "ministack": _ministack,
}


@pytest.fixture(params=["seaweedfs", "ministack"])
def judge(request: pytest.FixtureRequest, running: Callable[[str], Judge], monkeypatch: pytest.MonkeyPatch) -> Judge:
    """Each implementation of S3, with the buckets ``source`` and ``target``."""
    found = running(request.param)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": found.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials of whoever asked first
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", lambda seconds: time.sleep(min(seconds, 0.05)))
    client = boto3.client("s3")

    def has_buckets() -> bool:
        for bucket in ("source", "target"):
            with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=bucket)
        return True

    wait_until(has_buckets, f"{found.name} has its buckets", seconds=30)
    return found
