"""What counts as delivered is what was sent: whoever wrote it, and whatever the server forgot meanwhile."""

from __future__ import annotations

import os

import asyncssh
import pytest
from awscrt import checksums

from client_delivery.transfer.contract import IntegrityError, Job, TransferError
from client_delivery.transfer.integrity import encode
from tests.functional.transfer.conftest import MIB, Journal, deliver
from tests.support.habits import Habits, HabitServer

SIZE = 9 * MIB


@pytest.fixture(autouse=True)
def _short_lanes(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.lanes._SHORTEST", 2 * MIB)


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


def crc_of(content):
    return f"crc32c:{encode(checksums.crc32c(content))}"


def opened_for_writing(server):
    return [call for call in server.calls if call[0] == "open" and call[2] & asyncssh.FXF_WRITE]


class LastCloseWins(Habits):
    """An object store behind SFTP: each handle is an upload of its own, and the last one that is closed is the file."""

    def open(self, path, pflags, attrs):
        opened = super().open(path, pflags, attrs)
        if pflags & asyncssh.FXF_WRITE and not pflags & asyncssh.FXF_CREAT:
            os.truncate(self.map_path(path), 0)
        return opened


class RefusesSecondOpen(Habits):
    def open(self, path, pflags, attrs):
        if pflags & asyncssh.FXF_WRITE and os.path.lexists(self.map_path(path)):
            raise asyncssh.SFTPOpUnsupported("Cannot open existing file in mode: WRITE")
        return super().open(path, pflags, attrs)


@pytest.mark.parametrize("habits", [Habits, LastCloseWins, RefusesSecondOpen])
def test_a_server_that_nobody_knows_gets_one_writer(servers, run_server, habits):
    server = run_server(habits)
    source, crc32c = servers.declare(SIZE)
    receipt = deliver(servers.open("sftp", server.server, connections=4), source)
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])
    assert len(opened_for_writing(server)) == 1


@pytest.mark.parametrize("banner", ["OpenSSH_9.2p1", "AWS_SFTP_1.1"])
def test_several_writers_where_the_banner_says_a_file_system_and_only_there(servers, run_server, banner):
    server = run_server(version=banner)
    source, crc32c = servers.declare(SIZE)
    receipt = deliver(servers.open("sftp", server.server, connections=3), source)
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])
    assert len(opened_for_writing(server)) == (3 if banner.startswith("OpenSSH") else 1)


@pytest.mark.parametrize("habits", [LastCloseWins, RefusesSecondOpen])
@pytest.mark.parametrize("banner", ["OpenSSH_9.2p1", "MFT_1.0"])
def test_several_writers_that_spoilt_a_file_are_found_and_it_is_sent_again_by_one(servers, run_server, habits, banner):
    server = run_server(habits, version=banner)
    source, crc32c = servers.declare(SIZE)
    journal = Journal()
    destination = servers.open("sftp", server.server, connections=3, parallel_writes=True)
    receipt = deliver(destination, source, journal)
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])
    assert list(server.files()) == [source.key]
    assert journal.moved == SIZE


@pytest.mark.parametrize("more", [0, 1234], ids=["whole blocks", "ends within a block"])
@pytest.mark.parametrize("banner", ["OpenSSH_9.2p1", "MFT_1.0"])
def test_several_writers_on_a_server_that_takes_them_are_read_back(servers, run_server, banner, more):
    server = run_server(version=banner)
    source, crc32c = servers.declare(SIZE + more)
    receipt = deliver(servers.open("sftp", server.server, connections=3, parallel_writes=True), source)
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])
    assert receipt.verified_by == ("size" if banner.startswith("OpenSSH") else "read-back")
    assert [call for call in server.calls if call[0] == "open" and call[2] == asyncssh.FXF_READ]


def test_parallel_writes_can_be_forbidden(servers, run_server):
    server = run_server(version="OpenSSH_9.2p1")
    source, _ = servers.declare(SIZE)
    deliver(servers.open("sftp", server.server, connections=3, parallel_writes=False), source)
    assert len(opened_for_writing(server)) == 1


class FailsToSync(Habits):
    def fsync(self, file_obj):
        raise asyncssh.SFTPFailure("Input/output error")


@pytest.mark.parametrize("size", [1000, SIZE])
def test_a_file_that_could_not_be_written_to_the_disk_is_not_delivered(servers, run_server, size):
    server = run_server(FailsToSync)
    source, _ = servers.declare(size)
    with pytest.raises(TransferError, match=r"the server refuses to fsync \(Input/output error"):
        deliver(servers.open("sftp", server.server), source)
    assert source.key not in server.files()


class _Cut(Exception):
    """The attempt ends here."""


def interrupted(servers, server, source, share, **options):
    """An attempt that dies when a share of the file is acknowledged."""
    journal = Journal()

    def stop(moved):
        journal.moved += moved
        if journal.moved >= share * source.size:
            raise _Cut

    journal.progress = stop
    with pytest.raises(_Cut):
        deliver(servers.open("sftp", server.server, **options), source, journal)
    return journal.states[-1]


@pytest.mark.parametrize("banner", ["OpenSSH_9.2p1", "MFT_1.0"])
def test_what_a_crashed_server_lost_is_found_before_a_later_attempt_goes_on(servers, run_server, banner):
    server = run_server(version=banner)
    source, crc32c = servers.declare(SIZE)
    state = interrupted(servers, server, source, 0.5)
    part = next(server.inbox.glob(".*.part"))
    with part.open("r+b") as file:  # what was acknowledged, and never synced
        file.seek(4096)
        file.write(bytes(64 * 1024))
    receipt = deliver(servers.open("sftp", server.server), source, token=2, resume=state)
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])
    assert list(server.files()) == [source.key]


def test_a_resume_on_a_server_that_begins_anew_starts_from_nothing(servers, run_server):
    server = run_server(LastCloseWins)
    source, crc32c = servers.declare(SIZE)
    state = interrupted(servers, server, source, 0.5)
    receipt = deliver(servers.open("sftp", server.server), source, token=2, resume=state)
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])


def test_a_state_of_an_earlier_release_is_gone_on_with(servers, run_server):
    """Its lanes do not say what was synced."""
    server = run_server(version="OpenSSH_9.2p1")
    source, crc32c = servers.declare(SIZE)
    state = interrupted(servers, server, source, 0.5)
    old = {**state, "lanes": [[start, end, digest] for start, end, _, digest in state["lanes"]]}
    read = servers.s3_facts()["sent"]
    receipt = deliver(servers.open("sftp", server.server), source, token=2, resume=old)
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])
    assert servers.s3_facts()["sent"] - read < 0.8 * SIZE


class FailsOnce(Habits):
    def write(self, file_obj, offset, data):
        if offset >= 8 * MIB and not self.house.failed:
            self.house.failed = True
            raise asyncssh.SFTPFailure("Failure")
        return super().write(file_obj, offset, data)


def test_one_failure_at_ninety_percent_keeps_what_is_there(servers, run_server, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.streams.WINDOW", 4)
    server = run_server(FailsOnce)
    server.failed = False
    source, crc32c = servers.declare(SIZE)
    read = servers.s3_facts()["sent"]
    receipt = deliver(servers.open("sftp", server.server), source)
    assert server.failed
    assert receipt.checksum == f"crc32c:{crc32c}" == crc_of(server.files()[source.key])
    assert servers.s3_facts()["sent"] - read < 1.4 * SIZE


def test_a_full_disk_is_told_at_once(servers, run_server):
    class Full(Habits):
        def write(self, file_obj, offset, data):
            self.house.note("write")
            if offset >= MIB:
                raise asyncssh.SFTPFailure("No space left on device")
            return super().write(file_obj, offset, data)

    server = run_server(Full)
    source, _ = servers.declare(SIZE)
    with pytest.raises(TransferError, match="disk is full"):
        deliver(servers.open("sftp", server.server), source)
    assert len(opened_for_writing(server)) == 1


def test_a_drop_box_gets_one_writer_because_nothing_can_be_read_back(servers, run_server):
    class WriteOnly(Habits):
        def open(self, path, pflags, attrs):
            if pflags & asyncssh.FXF_READ:
                raise asyncssh.SFTPPermissionDenied("write only")
            return super().open(path, pflags, attrs)

    server = run_server(WriteOnly, version="OpenSSH_9.2p1")
    first, second = servers.declare(SIZE), servers.declare(SIZE + 1)
    with servers.open("sftp", server.server, connections=3) as destination:
        for source, _ in (first, second):
            destination.deliver(Job(source.key, source, token=1), Journal())
        writers = [call[1] for call in opened_for_writing(server) if second[0].key in call[1]]
    assert {crc_of(content) for content in server.files().values()} == {f"crc32c:{crc}" for _, crc in (first, second)}
    assert len(writers) == 1


def test_a_size_that_comes_late_is_waited_for_and_a_wrong_one_is_not_believed(servers, run_server, monkeypatch):
    class Late(Habits):
        def _shown(self, attrs):
            shown = asyncssh.SFTPAttrs.from_local(attrs)
            if shown.size and self.house.wrong_looks:
                self.house.wrong_looks -= 1
                shown.size = 0
            return shown

        def lstat(self, path):
            return self._shown(super().lstat(path))

        def fstat(self, file_obj):
            shown = asyncssh.SFTPAttrs.from_local(super().fstat(file_obj))
            shown.size = 0
            return shown

    server = run_server(Late)
    server.wrong_looks = 2
    source, _ = servers.declare(1000)
    assert deliver(servers.open("sftp", server.server), source).verified_by == "size"
    server.wrong_looks = 10**6
    monkeypatch.setattr("client_delivery.transfer.sftp.proof._LAGS", 0.5)
    source, _ = servers.declare(1001)
    with pytest.raises(IntegrityError, match="has 0 bytes on the server, but 1001 were sent"):
        deliver(servers.open("sftp", server.server), source)
