"""The servers of the bench are what they say: shown by another client than ours."""

from __future__ import annotations

from uuid import uuid4

import asyncssh
import pytest

from local.sftp_servers.families import FAMILIES
from local.sftp_servers.family import Orders
from tests.functional.transfer.sftp.client import ask

MIB = 1024**2
TIGHT = Orders(largest_file=2 * MIB, refuse_rename=True)


async def overfill(client: asyncssh.SFTPClient, path: str) -> None:
    async with client.open(path, "wb") as file:
        for _ in range(3):
            await file.write(bytes(MIB))


@pytest.fixture(params=FAMILIES)
def family(request) -> str:
    return request.param


def test_a_file_appears_below_the_servers_root(bench, family):
    running = bench.server(family)
    folder = uuid4().hex

    async def work(client: asyncssh.SFTPClient) -> list[str]:
        await client.mkdir(folder)
        async with client.open(f"{folder}/a", "wb") as file:
            await file.write(b"content")
        await client.rename(f"{folder}/a", f"{folder}/b")
        return [str(name) for name in await client.listdir(folder)]

    assert set(ask(running, work)) - {".", ".."} == {"b"}
    assert (running.server.root / folder / "b").read_bytes() == b"content"


def test_what_does_not_fit_is_refused_and_so_is_renaming(bench, family):
    running = bench.server(family, TIGHT)
    folder = uuid4().hex

    async def work(client: asyncssh.SFTPClient) -> None:
        await client.mkdir(folder)
        async with client.open(f"{folder}/fits", "wb") as file:
            await file.write(bytes(MIB))
        if FAMILIES[family].can_refuse_rename:
            with pytest.raises(asyncssh.SFTPError):
                await client.rename(f"{folder}/fits", f"{folder}/renamed")
        with pytest.raises(asyncssh.SFTPError):
            await overfill(client, f"{folder}/does not fit")

    ask(running, work)
    assert (running.server.root / folder / "fits").stat().st_size == MIB
    assert not (running.server.root / folder / "renamed").exists()
