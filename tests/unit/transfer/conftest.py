"""What several of these tests start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from client_delivery.runtime import backoff
from tests.unit.transfer.prepared_kit import area, bucket
from tests.unit.transfer.scripted_service import ScriptedService
from tests.unit.transfer.sftp_kit import server, target

__all__ = ["area", "bucket", "server", "service", "target"]


@pytest.fixture
def service(monkeypatch) -> Iterator[ScriptedService]:
    """A service with responses that are told beforehand; nobody pauses before a retry."""
    monkeypatch.setattr(backoff, "sleep", lambda seconds: None)
    monkeypatch.delenv("http_proxy", raising=False)
    made = ScriptedService()
    yield made
    made.close()
    assert not made.replies, "more was planned than was asked for"
