"""The ledger's table behind a network that loses answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.scenario import order_faults


@pytest.fixture
def trouble(stack) -> Iterator[Callable[[Callable[[], object], dict[str, Any]], list[str]]]:
    """Do something that must succeed although its first writes get into trouble; returns the calls that this befell."""

    def succeeds(action: Callable[[], object], rule: dict[str, Any]) -> list[str]:
        order_faults(stack.aws_url, [{"call": r"dynamodb\.(Put|Update|TransactWrite)Item", **rule}])
        assert action()
        return order_faults(stack.aws_url)

    yield succeeds
    order_faults(stack.aws_url)


@pytest.fixture
def lost_answer(trouble) -> Callable[[Callable[[], object]], list[str]]:
    """Do something although the answer to its first write is lost."""
    return lambda action: trouble(action, {"reset": "after"})


@pytest.fixture
def refused(trouble) -> Callable[..., list[str]]:
    """Do something although its first writes are refused, for a reason that the AWS client does not try again for."""
    return lambda action, times: trouble(action, {"status": 400, "code": "AccessDeniedException", "times": times})
