"""A large file after a break: gone on with only where the server still has what it acknowledged, and tells so."""

from __future__ import annotations

import hashlib
import stat

import pytest

from client_delivery.transfer.contract import (
    DestinationUnavailable,
    IntegrityError,
    NotRepeatable,
    Superseded,
    TransferError,
)
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.sftp.packets import FAILURE, PERMISSION_DENIED, UNSUPPORTED, Kind, OpenFlag
from client_delivery.transfer.sftp.server import SYNC
from tests.unit.transfer.sftp_server import MISSING, OPENSSH, Lost, attributes
from tests.unit.transfer.sftp_wire import status

MIB = 1024**2
CONTENT = bytes(range(256)) * 12 * 1024
"""Three MiB."""
ETAG = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
PART = f"in/.a.csv.{ETAG[:12]}.1.part"
WRITES = len(CONTENT) // 2**15
TEMPORARY = r"\.part$"


def lane(start: int, end: int, reached: int) -> list[object]:
    """A lane of the checkpoint, of which nothing is synced."""
    digest, synced = Digest(), Digest()
    digest.update(CONTENT[start:reached])
    return [start, end, synced.state(), digest.state()]


def left(*lanes: list[object]) -> dict[str, object]:
    """The checkpoint of an attempt that broke off."""
    return {"part": PART, "etag": ETAG, "lanes": list(lanes or [lane(0, 3 * MIB, MIB)])}


@pytest.fixture
def to(target):
    """A destination for which a MiB is large."""
    return target(small=MIB - 1)


def test_what_was_acknowledged_is_not_sent_again(server, to):
    server.files[PART] = bytearray(CONTENT[:MIB])
    to.deliver("a.csv", CONTENT, token=2, resume=left())
    assert server.files == {"in/a.csv": CONTENT}
    assert server.count(Kind.WRITE) == WRITES * 2 // 3
    assert to.journal.moved == len(CONTENT)


def test_what_several_wrote_is_not_gone_on_with_where_one_may_write(server, to):
    """Between the lanes there are holes, which one writer from front to back would not fill."""
    server.files[PART] = bytearray(CONTENT[:MIB] + bytes(MIB // 2) + CONTENT[3 * MIB // 2 : 2 * MIB])
    state = left(lane(0, 3 * MIB // 2, MIB), lane(3 * MIB // 2, 3 * MIB, 2 * MIB))
    to.deliver("a.csv", CONTENT, token=2, resume=state)
    assert server.files == {"in/a.csv": CONTENT}
    assert server.count(Kind.WRITE) == WRITES


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (CONTENT[: MIB // 2], None),
        (CONTENT[:MIB], attributes(None, stat.S_IFREG | 0o644)),
        (CONTENT[:MIB], attributes(MIB, stat.S_IFLNK | 0o777)),
        (b"?" * MIB, None),
    ],
    ids=["shorter", "no size", "a link", "other bytes"],
)
def test_what_is_not_there_as_it_was_acknowledged_is_sent_from_its_beginning(server, to, there, told):
    server.files[PART] = bytearray(there)
    server.answers(Kind.LSTAT, told, told, name=r"\.2\.part$")
    to.deliver("a.csv", CONTENT, token=2, resume=left())
    assert server.files == {"in/a.csv": CONTENT}
    assert server.count(Kind.WRITE) == WRITES


def test_a_server_that_lets_nobody_read_is_not_asked_to_for_the_next_file(server, to):
    server.files[PART] = bytearray(CONTENT[:MIB])
    server.answers(Kind.OPEN, status(PERMISSION_DENIED, "no"), name=r"\.2\.part$")
    to.deliver("a.csv", CONTENT, token=2, resume=left())
    assert server.files == {"in/a.csv": CONTENT}
    assert server.count(Kind.WRITE) == WRITES
    assert not to.destination.server.readable


def test_a_lost_connection_costs_what_was_under_way_and_no_more(server, to):
    server.answers(Kind.WRITE, *[None] * (2 * WRITES - 2), Lost.BEFORE)
    to.deliver("a.csv", CONTENT * 2)
    assert server.files == {"in/a.csv": CONTENT * 2}
    assert server.count(Kind.WRITE) <= 2 * WRITES + 64 + 32, "the window, and what is left of a MiB"
    assert to.journal.moved == 2 * len(CONTENT)


def test_a_file_that_is_synced_now_and_then_is_not_read_so_far_back(server, target, monkeypatch):
    server.banner, server.extensions = OPENSSH
    to, read = target(small=MIB, connections=1), []
    for name, every in (("a.csv", 256 * MIB), ("b.csv", MIB)):
        monkeypatch.setattr("client_delivery.transfer.sftp.streams._SYNC_EVERY", every)
        server.answers(Kind.WRITE, *[None] * (WRITES * 2 - 20), Lost.BEFORE, name=name)
        to.deliver(name, CONTENT * 2)
        read.append(server.count(Kind.READ, name))
    assert server.files == {"in/a.csv": CONTENT * 2, "in/b.csv": CONTENT * 2}
    assert read[0] - read[1] >= MIB // 2**15


@pytest.mark.parametrize(
    ("refusal", "goes_on"), [(status(UNSUPPORTED), True), (status(FAILURE, "I/O error"), False)], ids=["none", "failed"]
)
def test_a_sync_in_between_that_fails_spoils_the_file_and_one_that_is_not_there_does_not(
    server, target, monkeypatch, refusal, goes_on
):
    monkeypatch.setattr("client_delivery.transfer.sftp.streams._SYNC_EVERY", MIB)
    server.extensions = (SYNC,)
    server.answers(Kind.EXTENDED, refusal)
    to = target(small=MIB)
    if goes_on:
        to.deliver("a.csv", CONTENT)
        assert server.files == {"in/a.csv": CONTENT}
        assert server.count(Kind.EXTENDED) == 1
    else:
        with pytest.raises(TransferError, match="refuses to fsync"):
            to.deliver("a.csv", CONTENT)
        assert server.files == {}
        assert "lanes" not in to.journal.states[-1], "nobody goes on with it"


# -- taken away, refused, overtaken ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["small", "large"])
def test_a_server_that_takes_what_is_closed_gets_no_second_file(server, target, size):
    def take(asked):
        server.files.pop(asked.name, None)

    server.answers(Kind.CLOSE, take, name=TEMPORARY)
    to = target(small=MIB, verify="read_back")
    with pytest.raises(NotRepeatable, match="the server took the file away under its temporary name"):
        to.deliver("a.csv", CONTENT[:size])
    vanished = to.journal.states[-1]
    with pytest.raises(DestinationUnavailable, match=r"No more files are sent that way: set destination\.appear"):
        to.deliver("b.csv", CONTENT[:size])
    with pytest.raises(NotRepeatable, match="The recipient may have it under that name"):
        to.deliver("a.csv", CONTENT[:size], token=2, resume=vanished)
    assert server.files == {}


def test_a_file_of_several_writers_that_is_taken_when_it_is_closed_is_said_so(server, target):
    server.banner, server.extensions = OPENSSH
    server.answers(Kind.LSTAT, lambda asked: server.files.clear(), name=TEMPORARY)
    with pytest.raises(NotRepeatable, match="the server took the file away under its temporary name"):
        target(small=MIB).deliver("a.csv", CONTENT)


@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["small", "large"])
@pytest.mark.parametrize("kind", [Kind.OPEN, Kind.READ])
def test_reading_back_that_is_refused_names_the_setting(server, target, size, kind):
    def refuse(asked):
        return status(PERMISSION_DENIED, "no") if kind == Kind.READ or asked.flags == OpenFlag.READ else None

    server.answers(kind, refuse, times=None)
    with pytest.raises(TransferError, match=r"Reading back is refused.*set destination\.verify to size"):
        target(small=MIB, verify="read_back").deliver("a.csv", CONTENT[:size])
    assert "in/a.csv" not in server.files


@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["small", "large"])
def test_r6_4_a_byte_that_the_server_keeps_wrong_is_found_where_it_is_read_back(server, target, size):
    def spoil(asked):
        server.files[asked.name][0] ^= 1

    server.answers(Kind.CLOSE, spoil, name=TEMPORARY)
    to = target(small=MIB, verify="read_back")
    with pytest.raises(IntegrityError):
        to.deliver("a.csv", CONTENT[:size])
    assert server.files == {}
    assert to.deliver("a.csv", CONTENT[:size]).verified_by == "read-back"
    assert server.files == {"in/a.csv": CONTENT[:size]}


def test_who_was_overtaken_before_the_first_byte_leaves_nothing(server, to, monkeypatch):
    def overtaken(state):
        raise Superseded

    monkeypatch.setattr(to.journal, "checkpoint", overtaken)
    with pytest.raises(Superseded):
        to.deliver("a.csv", CONTENT)
    assert server.files == {}
    assert server.count(Kind.WRITE) == 0


def test_who_was_overtaken_while_it_took_over_a_file_leaves_it_there(server, to, monkeypatch):
    """It is not its own; and the newer attempt knows its name."""

    def overtaken(state):
        raise Superseded

    server.files[PART] = bytearray(CONTENT[:MIB])
    monkeypatch.setattr(to.journal, "checkpoint", overtaken)
    with pytest.raises(Superseded):
        to.deliver("a.csv", CONTENT, token=2, resume=left())
    assert list(server.files.values()) == [CONTENT[:MIB]]
    to.journal = type(to.journal)()
    to.deliver("a.csv", CONTENT, token=3, resume=left())
    assert server.files == {"in/a.csv": CONTENT}


def test_a_directory_that_is_gone_is_made_again_for_a_large_file(server, to):
    server.answers(Kind.OPEN, MISSING)
    to.deliver("2026/a.csv", CONTENT)
    assert server.files == {"in/2026/a.csv": CONTENT}
    assert server.count(Kind.MKDIR) == 2
