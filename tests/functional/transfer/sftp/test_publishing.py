"""A recipient gets each file once, and never loses the one that it has, whatever the server makes of a rename."""

from __future__ import annotations

import dataclasses
import os

import asyncssh
import pytest

from client_delivery.transfer.contract import (
    DestinationUnavailable,
    Job,
    NotRepeatable,
    SourceChanged,
    Superseded,
    TransferError,
)
from client_delivery.transfer.delivering.batch import deliver_all
from tests.functional.transfer.conftest import MIB, Journal, deliver
from tests.support.habits import Habits, HabitServer

SMALL, LARGE = 1000, 5 * MIB
OLDER = b"the recipient's own older file"


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


class Attempts:
    """Attempts at one file, as the ledger makes them: each with a new token and the last checkpoint."""

    def __init__(self, servers, server, source, **options):
        self._servers, self._server, self._source, self._options = servers, server, source, options
        self._token, self.state = 0, None

    def next(self, journal=None):
        self._token += 1
        journal = journal or Journal()
        try:
            destination = self._servers.open("sftp", self._server.server, **self._options)
            return deliver(destination, self._source, journal, token=self._token, resume=self.state)
        except (TransferError, Superseded) as error:
            return error
        finally:
            self.state = journal.states[-1] if journal.states else self.state


class NoRename(Habits):
    """Answers a rename with :attr:`answer`."""

    refuse = ("posix-rename",)
    answer: type[asyncssh.SFTPError] = asyncssh.SFTPFailure

    def rename(self, oldpath, newpath):
        raise self.answer("RENAME is not enabled")


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("answer", [asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, asyncssh.SFTPOpUnsupported])
def test_where_nothing_can_be_renamed_the_older_file_stays(servers, run_server, size, answer):
    server = run_server(type("Refusing", (NoRename,), {"answer": answer}))
    source, _ = servers.declare(size)
    (server.inbox / source.key).write_bytes(OLDER)
    outcome = Attempts(servers, server, source).next()
    assert isinstance(outcome, TransferError)
    assert "the server refuses to rename" in str(outcome)
    assert "destination.appear" in str(outcome)
    assert server.files()[source.key] == OLDER


class EmptiesWhatIsOpened(Habits):
    """As object stores do: each open for writing begins a new file."""

    refuse = ("posix-rename",)

    def open(self, path, pflags, attrs):
        if pflags & asyncssh.FXF_WRITE and os.path.lexists(self.map_path(path)):
            os.truncate(self.map_path(path), 0)
        return super().open(path, pflags, attrs)


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
def test_a_look_never_writes(servers, run_server, size):
    server = run_server(EmptiesWhatIsOpened)
    source, crc32c = servers.declare(size)
    (server.inbox / source.key).write_bytes(OLDER)
    receipt = Attempts(servers, server, source).next()
    assert receipt.checksum == f"crc32c:{crc32c}"
    assert {name: len(content) for name, content in server.files().items()} == {source.key: size}
    assert not [call for call in server.calls if call[0] == "open" and call[1].endswith(f"/{source.key}")]


class NothingOver(Habits):
    """Renames over nothing, and remembers what was there whenever a rename was asked for."""

    refuse = ("posix-rename",)

    def rename(self, oldpath, newpath):
        old = os.fsdecode(oldpath)
        if newpath == b"in/last.csv" and (self.house.stuck or (self.house.refusing and ".old." not in old)):
            raise asyncssh.SFTPFailure("not this one")
        super().rename(oldpath, newpath)


def test_an_older_file_is_moved_aside_and_removed_when_the_new_one_is_there(servers, run_server):
    server = run_server(NothingOver)
    server.refusing = server.stuck = False
    source, _ = servers.declare(SMALL, "last.csv")
    (server.inbox / "last.csv").write_bytes(OLDER)
    receipt = Attempts(servers, server, source).next()
    assert receipt.verified_by == "size"
    assert {name: len(content) for name, content in server.files().items()} == {"last.csv": SMALL}
    removed = [call[1] for call in server.calls if call[0] == "remove"]
    renamed = [call[1:] for call in server.calls if call[0] == "rename"]
    assert [old for old, new in renamed if new in removed] == ["in/last.csv"]
    assert "in/last.csv" not in removed


def test_an_older_file_comes_back_when_the_new_one_cannot_take_its_place(servers, run_server):
    server = run_server(NothingOver)
    server.refusing, server.stuck = True, False
    source, _ = servers.declare(SMALL, "last.csv")
    (server.inbox / "last.csv").write_bytes(OLDER)
    outcome = Attempts(servers, server, source).next()
    assert "not this one" in str(outcome)
    assert server.files()["last.csv"] == OLDER


def test_an_older_file_that_cannot_come_back_is_told_to_a_person(servers, run_server):
    server = run_server(NothingOver)
    server.refusing = server.stuck = True
    source, _ = servers.declare(SMALL, "last.csv")
    (server.inbox / "last.csv").write_bytes(OLDER)
    outcome = Attempts(servers, server, source).next()
    assert isinstance(outcome, NotRepeatable)
    aside = next(name for name, content in server.files().items() if content == OLDER)
    assert f"in/{aside}" in str(outcome)


class CutsAfterAside(Habits):
    """Renames over nothing; once an older file has been moved aside, nobody gets the response."""

    refuse = ("posix-rename",)

    def rename(self, oldpath, newpath):
        super().rename(oldpath, newpath)
        if b".old." in newpath and self.house.cuts:
            self.house.cuts -= 1
            self.cut()


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("reconnections", [2, 0], ids=["same attempt", "later attempt"])
def test_an_older_file_that_was_moved_aside_unheard_does_not_stay(
    servers, run_server, size, reconnections, monkeypatch
):
    monkeypatch.setattr("client_delivery.transfer.sftp.destination._RECONNECTIONS", reconnections)
    server = run_server(CutsAfterAside)
    server.cuts = 1
    source, _ = servers.declare(size, f"aside-{size}-{reconnections}.csv")
    (server.inbox / source.key).write_bytes(OLDER)
    attempts = Attempts(servers, server, source)
    outcome = attempts.next()
    if not reconnections:
        assert isinstance(outcome, TransferError)
        outcome = attempts.next()
    assert outcome.size == size
    assert {name: len(content) for name, content in server.files().items()} == {source.key: size}


def test_an_older_file_that_was_moved_aside_is_removed_when_somebody_else_has_replaced_it(
    servers, run_server, monkeypatch
):
    monkeypatch.setattr("client_delivery.transfer.sftp.destination._RECONNECTIONS", 0)
    server = run_server(CutsAfterAside)
    server.cuts = 1
    source, _ = servers.declare(SMALL, "replaced.csv")
    (server.inbox / "replaced.csv").write_bytes(OLDER)
    attempts = Attempts(servers, server, source)
    attempts.next()
    (server.inbox / "replaced.csv").write_bytes(b"a newer version")
    with servers.open("sftp", server.server) as destination:
        destination.discard(source.key, attempts.state)
    assert server.files() == {"replaced.csv": b"a newer version"}


class CutsAfterRename(Habits):
    """Renames to a final name take effect and get no response; the recipient takes the file at once, or not."""

    def posix_rename(self, oldpath, newpath):
        super().posix_rename(oldpath, newpath)
        if os.fsdecode(newpath).endswith(".part"):
            return
        if self.house.takes:
            self.house.take(self.real(newpath))
        if self.house.cuts:
            self.house.cuts -= 1
            self.cut()


@pytest.mark.parametrize("takes", [False, True])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_rename_whose_response_is_lost_is_looked_up_and_not_repeated(servers, run_server, size, takes):
    server = run_server(CutsAfterRename)
    server.takes, server.cuts = takes, 99
    source, crc32c = servers.declare(size)
    read = servers.s3_facts()["sent"]
    receipt = Attempts(servers, server, source).next()
    assert receipt.checksum == f"crc32c:{crc32c}"
    assert [len(content) for _, content in server.taken] == [size] * takes
    assert [len(content) for content in server.files().values()] == [size] * (not takes)
    assert servers.s3_facts()["sent"] - read < 1.1 * size + 1000


class _Died(Exception):
    """The process."""


@pytest.mark.parametrize("takes", [False, True])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_later_attempt_knows_that_the_file_was_being_renamed(servers, run_server, size, takes, monkeypatch):
    server = run_server(CutsAfterRename)
    server.takes, server.cuts = takes, 1
    source, crc32c = servers.declare(size)
    attempts = Attempts(servers, server, source)
    with monkeypatch.context() as patched:
        patched.setattr("client_delivery.transfer.sftp.destination._RECONNECTIONS", 0)
        assert "next attempt looks up whether" in str(attempts.next())
    read = servers.s3_facts()["sent"]
    receipt = attempts.next()
    assert receipt.checksum == f"crc32c:{crc32c}"
    assert len(server.taken) == takes
    assert len(server.files()) == (not takes)
    assert servers.s3_facts()["sent"] - read <= 64 * 1024


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_attempt_that_died_before_its_rename_is_finished_without_sending_again(servers, run_server, size):
    """Nor is it taken for delivered: its temporary file must still be there."""
    server = run_server()
    source, crc32c = servers.declare(size)

    def die():
        raise _Died

    journal = Journal(die)
    with pytest.raises(_Died):
        deliver(servers.open("sftp", server.server), source, journal)
    read = servers.s3_facts()["sent"]
    receipt = deliver(servers.open("sftp", server.server), source, token=2, resume=journal.states[-1])
    assert receipt.checksum == f"crc32c:{crc32c}"
    assert list(server.files()) == [source.key]
    assert servers.s3_facts()["sent"] == read


def test_a_version_that_was_replaced_in_the_pick_up_does_not_appear_any_more(servers, run_server):
    server = run_server()
    source, _ = servers.declare(SMALL)

    def die():
        raise _Died

    journal = Journal(die)
    with pytest.raises(_Died):
        deliver(servers.open("sftp", server.server), source, journal)
    servers.declare(SMALL + 1, source.key)
    changed = dataclasses.replace(source, etag="0" * 32)
    state = {**journal.states[-1], "etag": changed.etag}
    with pytest.raises(SourceChanged):
        deliver(servers.open("sftp", server.server), changed, token=2, resume=state)
    assert source.key not in server.files()


def test_a_temporary_file_that_a_newer_version_removed_is_not_taken_for_delivered(servers, run_server):
    server = run_server()
    source, _ = servers.declare(SMALL)

    def die():
        raise _Died

    journal = Journal(die)
    with pytest.raises(_Died):
        deliver(servers.open("sftp", server.server), source, journal)
    server.empty()
    changed = dataclasses.replace(source, etag="0" * 32)
    state = {**journal.states[-1], "etag": changed.etag}
    with pytest.raises(NotRepeatable, match="there is a newer version of it since"):
        deliver(servers.open("sftp", server.server), changed, token=2, resume=state)


def test_after_a_refused_rename_the_next_attempt_only_renames(servers, run_server):
    server = run_server(NothingOver)
    server.refusing, server.stuck = True, False
    source, _ = servers.declare(LARGE, "last.csv")
    (server.inbox / "last.csv").write_bytes(OLDER)
    attempts = Attempts(servers, server, source)
    assert "not this one" in str(attempts.next())
    server.refusing = False
    read = servers.s3_facts()["sent"]
    attempts.next()
    assert {name: len(content) for name, content in server.files().items()} == {"last.csv": LARGE}
    assert servers.s3_facts()["sent"] == read


def test_an_attempt_that_sleeps_before_its_rename_finds_its_file_gone(servers, run_server):
    """R3.5, and the newer attempt's delivery stays."""
    server = run_server()
    source, crc32c = servers.declare(SMALL)
    newer = []

    def overtaken():
        state = sleeper.states[-1]
        newer.append(deliver(servers.open("sftp", server.server), source, token=2, resume=state))

    class Sleeper(Journal):
        def checkpoint(self, state):
            if newer:
                raise Superseded("a newer attempt owns the file")
            super().checkpoint(state)

    sleeper = Sleeper(overtaken)
    with pytest.raises(Superseded):
        deliver(servers.open("sftp", server.server), source, sleeper)
    assert newer[0].checksum == f"crc32c:{crc32c}"
    assert list(server.files()) == [source.key]


def test_an_old_attempt_never_puts_an_older_version_over_a_newer_one(servers, run_server):
    """The older version's attempt sleeps between its last look at the ledger and its rename."""
    server = run_server()
    (old, _), (new, crc32c) = servers.declare(SMALL), servers.declare(SMALL + 1)
    delivered = []

    def send(source, journal):
        with servers.open("sftp", server.server) as destination:
            return destination.deliver(Job("members.csv", source, token=1), journal)

    sleeper = Journal(lambda: delivered.append(send(new, Journal())))
    with pytest.raises(NotRepeatable):
        send(old, sleeper)
    assert delivered[0].checksum == f"crc32c:{crc32c}"
    assert {name: len(content) for name, content in server.files().items()} == {"members.csv": SMALL + 1}


class TakesEveryClosedFile(Habits):
    """A managed file-transfer product that takes a file as soon as it is closed, whatever its name."""

    def close(self, file_obj):
        name = self.name_of(file_obj)
        super().close(file_obj)
        if name:
            self.house.take(self.real(name))


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_temporary_file_that_is_taken_away_is_explained_and_not_sent_again(servers, run_server, size):
    server = run_server(TakesEveryClosedFile)
    source, _ = servers.declare(size)
    attempts = Attempts(servers, server, source)
    first, second = attempts.next(), attempts.next()
    assert isinstance(first, NotRepeatable)
    assert "took the file away under its temporary name" in str(first)
    assert "appear: direct" in str(first)
    assert str(second) == str(first)
    assert [len(content) for _, content in server.taken] == [size]


def test_nothing_more_is_handed_to_a_server_that_takes_temporary_files(servers, run_server):
    server = run_server(TakesEveryClosedFile)
    with servers.open("sftp", server.server) as destination:
        for error in (NotRepeatable, DestinationUnavailable, DestinationUnavailable):
            source, _ = servers.declare(SMALL)
            with pytest.raises(error, match="appear: direct"):
                destination.deliver(Job(source.key, source, token=1), Journal())
    assert len(server.taken) == 1


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
def test_direct_serves_a_server_that_takes_every_closed_file(servers, run_server, size):
    server = run_server(TakesEveryClosedFile)
    source, crc32c = servers.declare(size)
    receipt = Attempts(servers, server, source, appear="direct").next()
    assert (receipt.checksum, receipt.verified_by) == (f"crc32c:{crc32c}", "size, direct")
    assert [(name, len(content)) for name, content in server.taken] == [(source.key, size)]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_direct_does_not_send_again_what_may_have_been_taken(servers, run_server, size):
    class CutsAfterTaking(TakesEveryClosedFile):
        def close(self, file_obj):
            super().close(file_obj)
            self.cut()

    server = run_server(CutsAfterTaking)
    source, _ = servers.declare(size)
    outcome = Attempts(servers, server, source, appear="direct").next()
    assert isinstance(outcome, NotRepeatable)
    assert "it is not known whether the recipient has this file" in str(outcome)
    assert len(server.taken) == 1


def test_staging_writes_elsewhere_and_moves(servers, run_server):
    server = run_server(CutsAfterRename)
    server.takes, server.cuts = False, 0
    (server.root / "staging").mkdir()
    source, _ = servers.declare(SMALL, "sub/members.csv")
    receipt = Attempts(servers, server, source, appear="staging", staging_directory="staging").next()
    assert receipt.uri.endswith("/in/sub/members.csv")
    assert list(server.files()) == ["sub/members.csv"]
    assert all(call[1].startswith("staging/") for call in server.calls if call[0] == "open")
    assert list((server.root / "staging").iterdir()) == []


def test_what_cannot_be_known_is_not_sent_again(servers, run_server):
    """The response to a rename is lost, and from then on the server tells nothing."""

    class Mute(CutsAfterRename):
        def posix_rename(self, oldpath, newpath):
            if not self.house.cuts:
                raise asyncssh.SFTPFailure("Failure")
            super().posix_rename(oldpath, newpath)

        def rename(self, oldpath, newpath):
            raise asyncssh.SFTPFailure("Failure")

        def lstat(self, path):
            raise asyncssh.SFTPPermissionDenied("no")

        stat = lstat

    server = run_server(Mute)
    server.takes, server.cuts = True, 1
    source, _ = servers.declare(SMALL)
    attempts = Attempts(servers, server, source)
    assert isinstance(attempts.next(), NotRepeatable)
    assert isinstance(attempts.next(), NotRepeatable)
    assert len(server.taken) == 1


def test_an_older_file_with_the_same_size_is_not_taken_for_ours(servers, run_server):
    """The temporary file is gone, the final name has the right size: and other bytes."""

    class Loses(Habits):
        def posix_rename(self, oldpath, newpath):
            self.real(oldpath).unlink()
            self.cut()

    server = run_server(Loses)
    source, _ = servers.declare(SMALL)
    (server.inbox / source.key).write_bytes(b"x" * SMALL)
    outcome = Attempts(servers, server, source).next()
    assert isinstance(outcome, NotRepeatable)
    assert "what is there has another content" in str(outcome)
    assert server.files() == {source.key: b"x" * SMALL}


def test_many_files_of_one_batch_are_unhurt_by_one_that_costs_connections(servers, run_server):
    class DropsOnPoison(Habits):
        def open(self, path, pflags, attrs):
            if b"poison" in path:
                self.cut()
            return super().open(path, pflags, attrs)

    server = run_server(DropsOnPoison)
    sources = [servers.declare(SMALL, "poison.csv")[0], *[servers.declare(SMALL + n)[0] for n in range(20)]]
    outcomes = {}
    with servers.open("sftp", server.server, connections=1) as destination:
        deliver_all(
            sources,
            lambda source: (Job(source.key, source, token=1), Journal()),
            destination,
            lambda source, result: outcomes.update({source.key: result}),
        )
    assert [name for name, result in outcomes.items() if isinstance(result, Exception)] == ["poison.csv"]
    assert len(server.files()) == 20
