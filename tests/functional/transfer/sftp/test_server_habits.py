"""Nothing is required of a server that the protocol does not promise (R1.2, R6.8)."""

from __future__ import annotations

import asyncio
import re
import threading
import time

import asyncssh
import pytest

from client_delivery.transfer.contract import Interrupted, Job, TransferError, UnsafeName
from client_delivery.transfer.delivering.batch import deliver_all
from tests.functional.transfer.conftest import MIB, Journal, deliver
from tests.support.habits import Habits, HabitServer

SIZES = (0, 1000, 5 * MIB)


@pytest.fixture
def run_server(tmp_path):
    running = []

    def start(habits=Habits, **options):
        server = HabitServer(tmp_path / f"server-{len(running)}", habits, **options)
        running.append(server)
        return server.__enter__()

    yield start
    for server in running:
        server.__exit__()


class NoExclusive(Habits):
    def open(self, path, pflags, attrs):
        if pflags & asyncssh.FXF_EXCL:
            raise asyncssh.SFTPOpUnsupported("Cannot open file in mode: EXCLUSIVE")
        return super().open(path, pflags, attrs)


class NoHiddenNames(Habits):
    def open(self, path, pflags, attrs):
        if re.search(rb"/\.", path):
            raise asyncssh.SFTPPermissionDenied("no hidden files")
        return super().open(path, pflags, attrs)


class NoPartNames(Habits):
    def open(self, path, pflags, attrs):
        if path.endswith(b".part"):
            raise asyncssh.SFTPPermissionDenied("file type not allowed")
        return super().open(path, pflags, attrs)


class DropBox(Habits):
    """Nobody may look, read, list or remove."""

    def open(self, path, pflags, attrs):
        if pflags & asyncssh.FXF_READ:
            raise asyncssh.SFTPPermissionDenied("no")
        return super().open(path, pflags, attrs)

    def stat(self, path):
        raise asyncssh.SFTPPermissionDenied("no")

    lstat = scandir = remove = stat


class RemovesEmptyDirectories(Habits):
    def posix_rename(self, oldpath, newpath):
        super().posix_rename(oldpath, newpath)
        path = self.real(newpath)
        if path.suffix == ".csv":
            self.house.take(path)
            if not list(path.parent.iterdir()):
                path.parent.rmdir()


@pytest.mark.parametrize("habits", [NoExclusive, NoHiddenNames, NoPartNames, DropBox])
def test_it_gets_its_files_all_the_same(servers, run_server, habits):
    server = run_server(habits)
    expected = {}
    with servers.open("sftp", server.server) as destination:
        for size in SIZES:
            source, _ = servers.declare(size)
            destination.deliver(Job(source.key, source, token=1), Journal())
            expected[source.key] = size
    assert {name: len(content) for name, content in server.files().items()} == expected


@pytest.mark.parametrize("window", [16 * 1024, 24 * 1024, 200 * 1024])
@pytest.mark.parametrize("packet", [4 * 1024, 32 * 1024])
def test_small_ssh_windows_and_packets(servers, run_server, window, packet):
    server = run_server(window=window, max_pktsize=packet)
    source, crc32c = servers.declare(5 * MIB)
    began = time.monotonic()
    assert deliver(servers.open("sftp", server.server), source).checksum == f"crc32c:{crc32c}"
    assert time.monotonic() - began < 60


def test_directories_that_vanish_with_their_last_file_are_made_again(servers, run_server):
    server = run_server(RemovesEmptyDirectories)
    sources = [servers.declare(1000 + n, f"2026-11/f{n:02}.csv")[0] for n in range(12)]
    outcomes = {}
    with servers.open("sftp", server.server) as destination:
        deliver_all(
            sources,
            lambda source: (Job(source.key, source, token=1), Journal()),
            destination,
            lambda source, result: outcomes.update({source.key: result}),
        )
    assert [result for result in outcomes.values() if isinstance(result, Exception)] == []
    assert len(server.taken) == 12


def test_a_directory_that_may_not_be_made_is_said_so(servers, run_server):
    class NoMkdir(Habits):
        def mkdir(self, path, attrs):
            raise asyncssh.SFTPPermissionDenied("no")

    server = run_server(NoMkdir)
    source, _ = servers.declare(1000, "sub/file.csv")
    with pytest.raises(
        TransferError, match=r"in/sub: the server refuses to mkdir .* Ask the client to create the folder"
    ):
        deliver(servers.open("sftp", server.server), source)


def test_the_root_directory_is_not_the_login_directory(servers, run_server):
    class ElsewhereAtLogin(Habits):
        def map_path(self, path):
            return super().map_path(path if path.startswith(b"/") else b"/home/acme/" + path)

    server = run_server(ElsewhereAtLogin)
    (server.root / "home" / "acme").mkdir(parents=True)
    source, _ = servers.declare(1000, "2026/members.csv")
    deliver(servers.open("sftp", server.server, directory="/"), source)
    assert (server.root / "2026" / "members.csv").stat().st_size == 1000


@pytest.mark.parametrize("folding", [False, True])
def test_two_names_that_differ_in_case_only(servers, run_server, folding):
    class Folds(Habits):
        def map_path(self, path):
            return super().map_path(path.lower() if folding else path)

    server = run_server(Folds)
    first, second = servers.declare(1000, "Members.csv")[0], servers.declare(2000, "MEMBERS.csv")[0]
    deliver(servers.open("sftp", server.server), first)
    if not folding:
        deliver(servers.open("sftp", server.server), second)
        assert sorted(server.files()) == ["MEMBERS.csv", "Members.csv"]
        return
    with pytest.raises(UnsafeName, match="does not distinguish upper from lower case"):
        deliver(servers.open("sftp", server.server), second)
    assert {name: len(content) for name, content in server.files().items()} == {"members.csv": 1000}


class Windows(Habits):
    def map_path(self, path):
        return super().map_path(path.replace(b"\\", b"/"))


@pytest.mark.parametrize("name", ["..\\..\\evil.csv", "a:b.csv", "CON", "sub/nul.txt", "dot.", "end "])
def test_names_that_mean_something_else_on_windows_are_refused_there(servers, run_server, name):
    source, _ = servers.declare(10, name)
    server = run_server(Windows)
    with pytest.raises(UnsafeName, match="means something else on a Windows server"):
        deliver(servers.open("sftp", server.server), source)
    assert server.files() == {}
    other = run_server()
    deliver(servers.open("sftp", other.server), source)
    assert list(other.files()) == [name]


def test_bytes_that_never_become_a_response_are_silence(servers, run_server, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.connection._SILENCE_SECONDS", 1)
    monkeypatch.setattr("client_delivery.transfer.sftp.destination._RECONNECTIONS", 0)

    class Drips(Habits):
        async def write(self, file_obj, offset, data):
            self._channel.write(b"\x00\x0f\xff\xff")
            while True:
                self._channel.write(b"\x65")
                await asyncio.sleep(0.2)

    server = run_server(Drips)
    source, _ = servers.declare(1000)
    began = time.monotonic()
    with pytest.raises(TransferError, match=r"was lost while 'in/file-.*' was sent"):
        deliver(servers.open("sftp", server.server), source)
    assert time.monotonic() - began < 20


def test_a_server_that_is_slow_in_every_response_is_left(servers, run_server, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.pace._WINDOW", 2.0)
    monkeypatch.setattr("client_delivery.transfer.pace._SLOWEST", 10 * MIB)
    monkeypatch.setattr("client_delivery.transfer.sftp.destination._RECONNECTIONS", 0)

    class Slow(Habits):
        async def write(self, file_obj, offset, data):
            await asyncio.sleep(0.5)
            return super().write(file_obj, offset, data)

    server = run_server(Slow)
    source, _ = servers.declare(9 * MIB)
    with pytest.raises(TransferError, match="takes less than a KiB in a second"):
        deliver(servers.open("sftp", server.server), source)


def test_a_server_that_hands_out_a_few_bytes_at_a_time_is_left(servers, run_server, monkeypatch):
    """Whoever reads back would wait for days; every response ends the silence."""
    monkeypatch.setattr("client_delivery.transfer.pace._WINDOW", 1.0)
    monkeypatch.setattr("client_delivery.transfer.sftp.destination._RECONNECTIONS", 0)

    class Drips(Habits):
        async def read(self, file_obj, offset, size):
            await asyncio.sleep(0.1)
            return super().read(file_obj, offset, 1)

    server = run_server(Drips)
    source, _ = servers.declare(1000)
    with pytest.raises(TransferError, match="hands out less than a KiB in a second"):
        deliver(servers.open("sftp", server.server, verify="read_back"), source)


def test_a_directory_that_is_listed_name_by_name_is_not_waited_for(servers, run_server, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.pace._FIRST", 1.0)
    monkeypatch.setattr("asyncssh.sftp._MAX_READDIR_NAMES", 1)

    class Drips(Habits):
        async def scandir(self, path):
            for number in range(200):
                await asyncio.sleep(0.25)
                yield asyncssh.SFTPName(b"file-%d" % number, b"", asyncssh.SFTPAttrs(size=1))

    server = run_server(Drips)
    source, _ = servers.declare(1000)
    began = time.monotonic()
    assert deliver(servers.open("sftp", server.server), source).size == 1000
    assert time.monotonic() - began < 20


def test_who_is_told_to_stop_does_not_wait_for_what_a_slow_server_has_under_way(servers, run_server, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.requests._FORGETTING", 1.0)
    monkeypatch.setattr("client_delivery.transfer.sftp.streams.WINDOW", 4)

    class Slow(Habits):
        async def write(self, file_obj, offset, data):
            await asyncio.sleep(0 if offset < 1.5 * MIB else 3600)
            return super().write(file_obj, offset, data)

    class Stopped(Journal):
        def progress(self, moved):
            raise Interrupted("stop")

    server = run_server(Slow)
    source, _ = servers.declare(9 * MIB)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        deliver(servers.open("sftp", server.server), source, Stopped())
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("operation", ["close", "posix_rename"])
def test_closing_and_renaming_have_patience_of_their_own(servers, run_server, monkeypatch, operation):
    monkeypatch.setattr("client_delivery.transfer.sftp.connection._SILENCE_SECONDS", 1)
    monkeypatch.setattr("client_delivery.transfer.sftp.destination._RECONNECTIONS", 0)

    class Slow(Habits):
        pass

    async def slowly(self, *arguments):
        await asyncio.sleep(3)
        return getattr(Habits, operation)(self, *arguments)

    setattr(Slow, operation, slowly)
    server = run_server(Slow)
    source, _ = servers.declare(1000)
    assert deliver(servers.open("sftp", server.server), source).verified_by == "size"


def test_refusals_name_the_operation_and_what_to_do(servers, run_server):
    class Scans(Habits):
        def close(self, file_obj):
            super().close(file_obj)
            if self.name_of(file_obj):
                raise asyncssh.SFTPFailure("rejected by virus scan")

    server = run_server(Scans)
    for size in (1000, 5 * MIB):
        source, _ = servers.declare(size)
        with pytest.raises(
            TransferError, match=r"refuses to close \(rejected by virus scan, .*virus scanners and quotas"
        ):
            deliver(servers.open("sftp", server.server), source)
    assert server.files() == {}


def test_the_keepalive_is_a_message_that_every_peer_ignores(servers, run_server, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.channel._KEEPALIVE", 0.2)
    monkeypatch.setattr("client_delivery.transfer.sftp.channel._TICK", 0.1)
    asked = threading.Event()

    class Slow(Habits):
        def posix_rename(self, oldpath, newpath):
            asked.set()
            time.sleep(1.5)
            return super().posix_rename(oldpath, newpath)

    sent = []
    monkeypatch.setattr(
        "client_delivery.transfer.sftp.channel.SftpChannel._keep_alive",
        _counting(sent),
    )
    server = run_server(Slow)
    source, _ = servers.declare(1000)
    deliver(servers.open("sftp", server.server), source)
    assert asked.is_set()
    assert sent
    assert list(server.files()) == [source.key]


def _counting(sent):
    from client_delivery.transfer.sftp.channel import SftpChannel

    keep_alive = SftpChannel._keep_alive

    def counted(channel):
        sent.append(1)
        keep_alive(channel)

    return counted
