"""The documentation's tables say what happens (the suite's other modules), and are the current ones."""

from __future__ import annotations

from uuid import uuid4

import pytest

from local.sftp_servers.families import FAMILIES, MODELLED
from tests.functional.transfer.sftp import probe, table


@pytest.mark.parametrize("name", table.CAN)
def test_servers_can_do_what_the_documentation_says(bench, name):
    running = bench.server(name)
    folder = f"probe-{uuid4().hex}"
    (running.server.root / folder).mkdir()
    found = probe.facts(running.server, folder)
    said = table.CAN[name]
    banner = found.pop("banner")
    assert said["banner"] in banner
    assert found == {fact: what for fact, what in said.items() if fact != "banner"}


def test_every_server_and_every_situation_is_in_the_tables():
    assert [*table.EXPECTED] == [*FAMILIES, *MODELLED]
    assert {*table.CAN} >= {*FAMILIES}
    for cells in table.EXPECTED.values():
        assert [*cells] == [*table.SITUATIONS]


def test_the_document_has_the_current_tables():
    document = table.DOCUMENT.read_text(encoding="utf-8")
    assert document == table.with_tables(document), "run `make docs`"
