"""Places on the servers, and what each situation came to on each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.sftp_servers.families import FAMILIES, MODELLED
from local.sftp_servers.family import NO_ORDERS, Orders
from tests.functional.transfer.conftest import MIB
from tests.functional.transfer.sftp import table
from tests.functional.transfer.sftp.place import Place

TIGHT = Orders(largest_file=6 * MIB, refuse_rename=True)
OPTIONS: dict[str, dict[str, Any]] = {"mft-on-close": {"appear": "direct"}}
"""What is configured for a server, where the defaults cannot do."""


@pytest.fixture(params=[*FAMILIES, *MODELLED])
def server(request) -> str:
    """Each of the servers."""
    return request.param


@pytest.fixture
def place(bench, servers, server, monkeypatch) -> Iterator[Callable[..., Place]]:
    """``place(older={…})`` makes an empty directory on the server; ``tight=True`` takes the one with little room."""
    monkeypatch.setattr("client_delivery.transfer.sftp.lanes._SHORTEST", 2 * MIB)
    made: list[Place] = []

    def make(*, tight: bool = False, **options: Any) -> Place:
        running = bench.server(server, TIGHT if tight else NO_ORDERS)
        made.append(Place(servers, running, OPTIONS.get(server, {}), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def came_to(server, request) -> Callable[[str], None]:
    """Compares what happened with what the documentation says."""
    situation = request.node.originalname.removeprefix("test_")

    def compare(what: str) -> None:
        table.require(server, situation, what)

    return compare
