"""Deliveries to the SFTP server in this process: the whole engine, but for the connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from client_delivery.config.model import SftpSection
from client_delivery.transfer.contract import Job
from client_delivery.transfer.reading.held import HeldFiles
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.sftp.destination import SftpDestination
from tests.unit.transfer.sftp_server import HOST_KEY, FakeServer

SECRET = Secret("acme_sftp", password="letmein")
_ROOM = "client_delivery.transfer.sftp"


def section(**options: Any) -> SftpSection:
    """The destination's configuration."""
    chosen = {"host": "sftp.example.org", "username": "acme", "directory": "in", "connection_id": "acme_sftp"}
    return SftpSection.model_validate({"type": "sftp", "host_keys": [HOST_KEY], **chosen, **options})


class Journal:
    """Keeps what the engine tells it."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []
        self.moved = 0

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self.states.append(dict(state))

    def confirm(self) -> None:
        pass

    def resumed(self, there: int) -> None:
        self.moved += there

    def progress(self, moved: int) -> None:
        self.moved += moved


def job(files: HeldFiles, name: str, content: bytes, *, token: int = 1, resume: Any = None) -> Job:
    """A file to deliver."""
    made = files.job(name, content, token)
    return Job(made.name, made.source, token, resume)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """The server to which every connection leads; nobody waits for anything but a clock that runs when they do."""
    server, now = FakeServer(), [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", sleep)
    monkeypatch.setattr("client_delivery.runtime.backoff.clock", lambda: now[0])
    monkeypatch.setattr(f"{_ROOM}.publish._SETTLES", 0.0)
    monkeypatch.setattr(f"{_ROOM}.lanes._SHORTEST", 1024**2)
    for module in ("destination", "abilities", "probe_leftovers", "probe_way"):
        monkeypatch.setattr(f"{_ROOM}.{module}.SftpConnection", server.connect)
    yield server
    assert server.connected == 0, "every connection was closed"


class Target:
    """An open destination, with the files that it reads."""

    def __init__(self, *, small: int, **options: Any) -> None:
        self.files = HeldFiles()
        self.journal = Journal()
        self.destination = SftpDestination(section(**options), SECRET, self.files, small=small)

    def deliver(self, name: str, content: bytes, **how: Any) -> Any:
        """Deliver a file."""
        return self.destination.deliver(job(self.files, name, content, **how), self.journal)


@pytest.fixture
def target(server: FakeServer) -> Iterator[Any]:
    """``target(appear="direct")``: an open destination at the server."""
    opened: list[Target] = []

    def open_target(*, small: int = 4 * 1024**2, **options: Any) -> Target:
        made = Target(small=small, **options)
        made.destination.__enter__()
        opened.append(made)
        return made

    yield open_target
    for made in opened:
        made.destination.__exit__(None, None, None)
