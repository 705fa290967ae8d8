"""The model servers mean what they say by open, close and rename: shown by another client than ours."""

from __future__ import annotations

import time
from uuid import uuid4

import asyncssh
import pytest

from local.sshd import AsyncSsh
from local.wait import wait_until
from tests.functional.transfer.sftp.client import ask

MIB = 1024**2


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One server of each model, for all tests."""
    running = {}

    def started(name):
        if name not in running:
            seconds = {"seconds": 0.5} if name == "mft-scan" else {"seconds_per_mib": 0.5}
            running[name] = AsyncSsh(tmp_path_factory.mktemp("models") / name, model=name, **seconds)
        return running[name]

    yield started
    for server in running.values():
        server.stop()


@pytest.fixture
def folder(models):
    """Makes an empty folder on a model; tells the server, its folder there, and where that is here."""

    def made(model):
        name = uuid4().hex
        place = models(model).server.root / name
        place.mkdir()
        return models(model), name, place

    return made


def taken(server):
    files = (server.server.root.parent / "taken").rglob("*")
    return {path.read_bytes(): path.name for path in files if path.is_file()}


def test_of_two_uploads_to_one_name_the_last_that_is_closed_is_the_object(folder):
    server, name, place = folder("object-store")

    async def work(client):
        first, second = await client.open(f"{name}/a", "wb"), await client.open(f"{name}/a", "wb")
        await first.write(b"first ")
        await second.write(b"second", 6)
        assert not (place / "a").exists()
        await second.close()
        assert (place / "a").read_bytes() == bytes(6) + b"second"
        await first.close()
        assert (place / "a").read_bytes() == b"first "

    ask(server, work)


def test_an_object_that_is_opened_for_writing_stays_until_it_is_closed_and_is_not_gone_on_with(folder):
    server, name, place = folder("object-store")
    (place / "a").write_bytes(b"older content")

    async def work(client):
        file = await client.open(f"{name}/a", "r+b")
        await file.write(b"new")
        assert (await file.stat()).size == len(b"older content")
        assert (place / "a").read_bytes() == b"older content"
        await file.close()
        assert (place / "a").read_bytes() == b"new"

    ask(server, work)


def test_a_session_that_breaks_off_has_uploaded_a_partial_file(folder):
    server, name, place = folder("object-store")

    async def work(client):
        file = await client.open(f"{name}/a", "wb")
        await file.write(b"half")

    ask(server, work)
    wait_until((place / "a").exists, "the partial object", seconds=10)
    assert (place / "a").read_bytes() == b"half"


def test_a_rename_is_a_copy_that_takes_its_time_and_goes_over_nothing(folder):
    server, name, place = folder("object-store")
    for older in ("a", "there"):
        (place / older).write_bytes(bytes(2 * MIB))

    async def work(client):
        with pytest.raises(asyncssh.SFTPError):
            await client.rename(f"{name}/a", f"{name}/there")
        began = time.monotonic()
        await client.rename(f"{name}/a", f"{name}/b")
        return time.monotonic() - began

    assert ask(server, work) >= 1
    assert sorted(path.name for path in place.iterdir()) == ["b", "there"]


def test_what_is_closed_is_taken_whatever_its_name(folder):
    server, name, _ = folder("mft-on-close")
    content = name.encode()

    async def work(client):
        async with client.open(f"{name}/.a.part", "wb") as file:
            await file.write(content)
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await client.stat(f"{name}/.a.part")

    ask(server, work)
    assert taken(server)[content] == ".a.part"


def test_what_is_renamed_is_taken_unless_it_is_hidden(folder):
    server, name, _ = folder("mft-on-rename")
    content = name.encode()

    async def work(client):
        async with client.open(f"{name}/.a.part", "wb") as file:
            await file.write(content)
        await client.rename(f"{name}/.a.part", f"{name}/.b.part")
        assert content not in taken(server)
        await client.posix_rename(f"{name}/.b.part", f"{name}/a")

    ask(server, work)
    assert taken(server)[content] == "a"


def test_what_was_written_is_locked_while_it_is_scanned(folder):
    server, name, place = folder("mft-scan")

    async def work(client):
        async with client.open(f"{name}/a", "wb") as file:
            await file.write(b"content")
        with pytest.raises(asyncssh.SFTPPermissionDenied):
            await client.rename(f"{name}/a", f"{name}/b")
        time.sleep(0.5)
        await client.rename(f"{name}/a", f"{name}/b")

    ask(server, work)
    assert (place / "b").read_bytes() == b"content"
