"""The ledger's table behind a network that loses answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture
def trouble(stack) -> Iterator[Callable[[Callable[[], object], dict[str, Any]], list[str]]]:
    """Do something that must succeed although its first writes get into trouble; returns the calls that this befell."""

    def order(*rules: dict[str, Any]) -> list[str]:
        calls: list[str] = httpx.post(f"{stack.aws_url}/_local/faults", json=list(rules)).raise_for_status().json()
        return calls

    def succeeds(action: Callable[[], object], rule: dict[str, Any]) -> list[str]:
        order({"call": r"dynamodb\.(Put|Update|TransactWrite)Item", **rule})
        assert action()
        return order()

    yield succeeds
    order()


@pytest.fixture
def lost_answer(trouble) -> Callable[[Callable[[], object]], list[str]]:
    """Do something although the answer to its first write is lost."""
    return lambda action: trouble(action, {"reset": "after"})


@pytest.fixture
def refused(trouble) -> Callable[..., list[str]]:
    """Do something although its first writes are refused, for a reason that the AWS client does not try again for."""
    return lambda action, times: trouble(action, {"status": 400, "code": "AccessDeniedException", "times": times})
