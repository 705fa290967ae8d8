"""What a run says in the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def events(caplog) -> Callable[[str], list[dict[str, Any]]]:
    """The lines of an event in the log."""
    caplog.set_level(logging.DEBUG)

    def found(event: str) -> list[dict[str, Any]]:
        lines = [json.loads(one.getMessage()) for one in caplog.records if one.getMessage().startswith('{"event"')]
        return [line for line in lines if line["event"] == event]

    return found
