"""The ledger's table behind a network that loses answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest


@pytest.fixture
def lost_answer(stack) -> Iterator[Callable[[Callable[[], object]], list[str]]]:
    """Do something that must succeed although its first write's answer is lost; returns the calls that this befell."""

    def order(*rules: dict[str, str]) -> list[str]:
        calls: list[str] = httpx.post(f"{stack.aws_url}/_local/faults", json=list(rules)).raise_for_status().json()
        return calls

    def succeeds(action: Callable[[], object]) -> list[str]:
        order({"call": r"dynamodb\.(Put|Update|TransactWrite)Item", "reset": "after"})
        assert action()
        return order()

    yield succeeds
    order()
