"""The SFTP servers of the test bench: each is started once, when the first test asks for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.sftp_servers.families import FAMILIES, MODELLED
from local.sftp_servers.family import NO_ORDERS, Orders, Running

_numbers = itertools.count(1)


class Bench:
    """Servers that run; what they hold is thrown away with the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: dict[tuple[str, Orders], Running] = {}
        self._exit = ExitStack()

    def server(self, name: str, orders: Orders = NO_ORDERS) -> Running:
        """The server of that family under these orders. Skips the test, with the reason, where there is none."""
        family = {**FAMILIES, **MODELLED}[name]
        if why := family.missing():
            pytest.skip(f"{family.title}: {why}")
        if (name, orders) not in self._running:
            started = family.start(self._directory / f"{name}-{next(_numbers)}", orders)
            self._exit.callback(started.stop)
            self._running[name, orders] = started
        return self._running[name, orders]

    def stop(self) -> None:
        """End them all."""
        self._exit.close()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """``bench.server("proftpd")``: a real server; see :mod:`local.sftp_servers.families`."""
    servers = Bench(tmp_path_factory.mktemp("sftp"))
    yield servers
    servers.stop()
