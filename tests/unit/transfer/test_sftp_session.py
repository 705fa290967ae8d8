"""Files over SFTP, on a fake channel: what is asked of the server, and what its responses mean (R6.6)."""

from __future__ import annotations

import struct

import pytest

from client_delivery.transfer.sftp.packets import (
    FAILURE,
    NO_SUCH_FILE,
    PERMISSION_DENIED,
    UNSUPPORTED,
    Attributes,
    ConnectionLost,
    Kind,
    SftpError,
    string,
)
from client_delivery.transfer.sftp.server import LIMITS, POSIX_RENAME, SPACE, SYNC
from client_delivery.transfer.sftp.session import SftpSession
from tests.unit.transfer.sftp_wire import OK, FakeFiles, FakeSsh, framed, status


@pytest.fixture
def files():
    return FakeFiles()


@pytest.fixture
def session_on(files):
    """A session with the fake's files; extensions by name."""
    opened = []

    def open_session(*extensions: str) -> SftpSession:
        offered = b"".join(string(name) + string("1") for name in extensions)
        context = FakeSsh(files, framed(Kind.VERSION, struct.pack(">I", 3) + offered)).channel()
        opened.append(context)
        return SftpSession(context.__enter__())

    yield open_session
    for context in opened:
        context.__exit__(None, None, None)


def test_a_greeting_that_is_no_version_ends_the_session():
    ssh = FakeSsh(lambda kind, payload: None, framed(Kind.STATUS, struct.pack(">I", 0)))
    with ssh.channel() as channel, pytest.raises(ConnectionLost, match="SFTP version"):
        SftpSession(channel)


def test_a_file_is_written_in_blocks_and_read_back(session_on, files):
    sftp, content = session_on(), bytes(range(256)) * 1024
    handle = sftp.create("a.csv")
    written = list(sftp.write(handle, 0, [content[:100_000], content[100_000:]]))
    assert sftp.finish(handle).size == len(content)
    assert [one.acknowledged for one in written] == sorted(one.acknowledged for one in written)
    assert written[-1].acknowledged == len(content)
    assert bytes(files.files["a.csv"]) == content
    assert b"".join(sftp.read("a.csv", len(content) + 1)) == content
    assert b"".join(sftp.read("a.csv", 10, 5)) == content[5:15]
    assert sftp.read_stretches("a.csv", [(0, 3), (1000, 2)]) == [content[:3], content[1000:1002]]


def test_a_small_file_is_one_round_trip(session_on, files):
    sftp = session_on(SYNC)
    handle = sftp.create("a.csv")
    files.asked.clear()
    assert sftp.write_whole(handle, b"x" * 70_000, 0o640).size == 70_000
    writes = [Kind.WRITE] * 3  # blocks of 32 KiB
    assert files.asked == [*writes, Kind.FSETSTAT, Kind.EXTENDED, Kind.FSTAT, Kind.CLOSE]


@pytest.mark.parametrize(
    ("refused", "operation"),
    [(Kind.WRITE, "write"), (Kind.CLOSE, "close"), (Kind.EXTENDED, "fsync")],
)
def test_a_refusal_at_any_step_is_an_error_that_names_the_step(session_on, files, refused, operation):
    sftp = session_on(SYNC)
    handle = sftp.create("a.csv")
    files.refuse[refused] = status(FAILURE, "disk full")
    with pytest.raises(SftpError, match="disk full") as caught:
        sftp.write_whole(handle, b"x", None)
    assert caught.value.operation == operation
    assert not sftp.lost, "the session serves the next file"


def test_refused_permissions_cost_no_file(session_on, files):
    sftp = session_on()
    files.refuse[Kind.FSETSTAT] = status(PERMISSION_DENIED, "no")
    assert sftp.write_whole(sftp.create("a.csv", 0o640), b"x", 0o640).size == 1


def test_a_sync_that_is_offered_and_not_there_is_not_asked_for_again(session_on, files):
    sftp = session_on(SYNC)
    files.refuse[Kind.EXTENDED] = status(UNSUPPORTED)
    sftp.write_whole(sftp.create("a.csv"), b"x", None)
    assert not sftp.syncs
    files.asked.clear()
    sftp.write_whole(sftp.create("b.csv"), b"x", None)
    assert Kind.EXTENDED not in files.asked


@pytest.mark.parametrize(("largest", "blocks"), [(0, 4), (65_536, 2), (2**30, 1)])
def test_blocks_are_as_large_as_the_server_says(session_on, files, largest, blocks):
    files.refuse[Kind.EXTENDED] = (Kind.EXTENDED_REPLY, struct.pack(">QQQQ", 0, 0, largest, 0))
    sftp = session_on(LIMITS)
    handle = sftp.create("a.csv")
    files.asked.clear()
    sftp.write_whole(handle, b"x" * 131_072, None)
    assert files.asked.count(Kind.WRITE) == blocks


@pytest.mark.parametrize("replace", [True, False])
def test_a_rename_looks_at_the_new_name_in_the_same_round_trip(session_on, files, replace):
    files.files["a.part"] = bytearray(b"abc")
    sftp = session_on(POSIX_RENAME)
    assert sftp.replaces
    files.asked.clear()
    if replace:
        files.refuse[Kind.EXTENDED] = OK
    seen = sftp.rename("a.part", "a.csv", replace=replace)
    assert files.asked == [Kind.EXTENDED if replace else Kind.RENAME, Kind.LSTAT]
    assert (seen.code == NO_SUCH_FILE) if isinstance(seen, SftpError) else seen == Attributes(3, None)
    assert isinstance(seen, SftpError) is replace, "the fake does nothing for an extension"


def test_a_refused_rename_is_raised_after_both_responses_are_taken(session_on, files):
    files.files["a.part"] = bytearray(b"abc")
    files.refuse[Kind.RENAME] = status(FAILURE, "file exists")
    sftp = session_on()
    with pytest.raises(SftpError, match="file exists"):
        sftp.rename("a.part", "a.csv")
    assert sftp.stat("a.part").size == 3


def test_names_are_listed_and_missing_files_are_told(session_on, files):
    files.files |= {"a.csv": bytearray(), "b.csv": bytearray()}
    sftp = session_on()
    assert sftp.list_names("in", 100) == ["a.csv", "b.csv"]
    sftp.remove("a.csv")
    with pytest.raises(SftpError) as caught:
        sftp.stat("a.csv")
    assert caught.value.code == NO_SUCH_FILE
    handle, seen = sftp.create_and_look("c.csv", "b.csv")
    assert (handle, seen) == (b"c.csv", Attributes(0, None))


@pytest.mark.parametrize("body", [b"", b"\x00", struct.pack(">I", 1)])
def test_a_response_that_does_not_fit_is_an_error_and_no_crash(session_on, files, body):
    files.refuse[Kind.LSTAT] = (Kind.ATTRS, body)
    with pytest.raises(SftpError, match="does not fit"):
        session_on().stat("a.csv", follow=False)


@pytest.mark.parametrize(
    ("reply", "free"),
    [
        ((Kind.EXTENDED_REPLY, struct.pack(">QQQQQ", 4096, 512, 100, 50, 20)), 512 * 20),
        ((Kind.EXTENDED_REPLY, struct.pack(">QQ", 4096, 512)), None),
        (status(PERMISSION_DENIED, "no"), None),
    ],
    ids=["told", "cut", "refused"],
)
def test_the_space_that_is_left_is_what_this_account_may_use(session_on, files, reply, free):
    files.refuse[Kind.EXTENDED] = reply
    assert session_on(SPACE).free_space("in") == free
    assert session_on().free_space("in") is None


def test_limits_that_the_server_offers_and_does_not_tell_are_those_of_the_draft(session_on, files):
    files.refuse[Kind.EXTENDED] = status(UNSUPPORTED)
    assert session_on(LIMITS).block == 32 * 1024
