"""How a file gets its name where the SFTP server refuses, forgets and loses connections: once, or a person is asked."""

from __future__ import annotations

import hashlib

import pytest

from client_delivery.transfer.contract import NotRepeatable, TransferError
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.sftp.packets import FAILURE, PERMISSION_DENIED, UNSUPPORTED, Kind
from tests.unit.transfer.sftp_server import MISSING, OPENSSH, Lost, attributes
from tests.unit.transfer.sftp_wire import status

CONTENT = b"12345678;SMITH\n" * 100
ETAG = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
PART = f"in/.a.csv.{ETAG[:12]}.1.part"
FINAL = r"/a\.csv$"
TEMPORARY = r"\.part$"


def crc32c(content: bytes) -> str:
    digest = Digest()
    digest.update(content)
    return f"crc32c:{digest.crc32c}"


def publishing(**more):
    """What an earlier attempt left in the checkpoint when its rename was on its way."""
    receipt = ["sftp://acme@sftp.example.org:22/in/a.csv", len(CONTENT), crc32c(CONTENT), "size"]
    return {"part": PART, "etag": ETAG, "publishing": receipt, **more}


@pytest.fixture
def tells_by_name_only(server):
    """Sizes are told of names only; so it is known of this server that it tells them."""
    server.answers(Kind.FSTAT, status(UNSUPPORTED), times=None)


# -- a rename without a response -------------------------------------------------------------------------------------


def test_a_lost_rename_is_done_under_the_old_temporary_name_where_no_other_is_taken(server, target):
    server.answers(Kind.RENAME, Lost.BEFORE, status(PERMISSION_DENIED, "no"), name=TEMPORARY)
    receipt = target().deliver("a.csv", CONTENT)
    assert server.files == {"in/a.csv": CONTENT}
    assert server.count(Kind.WRITE) == 1, "it was not sent again"
    assert receipt.verified_by == "size"


@pytest.mark.usefixtures("tells_by_name_only")
def test_a_lost_rename_of_a_file_that_was_taken_since_is_a_delivery(server, target):
    server.answers(Kind.RENAME, Lost.AFTER, lambda asked: server.files.clear())
    receipt = target().deliver("a.csv", CONTENT)
    assert receipt.checksum == crc32c(CONTENT)
    assert server.files == {}
    assert server.count(Kind.WRITE) == 1


@pytest.mark.usefixtures("tells_by_name_only")
@pytest.mark.parametrize("gone", [False, True], ids=["cut", "gone"])
def test_what_the_server_lost_after_it_was_verified_is_sent_again(server, target, gone):
    """It crashed after the close: what it then had in memory only is not there any more."""
    to = target()
    to.deliver("other.csv", b"x")
    server.files[PART] = bytearray(CONTENT[:100])
    if gone:
        server.answers(Kind.LSTAT, MISSING, name=r"\.2\.1\.part$", times=None)
    to.deliver("a.csv", CONTENT, token=2, resume=publishing())
    assert server.files == {"in/other.csv": b"x", "in/a.csv": CONTENT}
    ends = [bool("publishing" in state) for state in to.journal.states[-4:]]
    assert ends == [True, True, False, True], "a file that is gone must not be taken for a delivered one"


def test_what_another_wrote_over_the_temporary_file_is_not_published(server, target):
    server.files[PART] = bytearray(b"?" * len(CONTENT))
    target().deliver("a.csv", CONTENT, token=2, resume=publishing(aside="in/older"))
    assert server.files == {"in/a.csv": CONTENT}


@pytest.mark.parametrize("there", [CONTENT[:100], CONTENT + b"more"], ids=["cut", "longer"])
@pytest.mark.parametrize("known", [False, True], ids=["anybody's", "a file system's"])
def test_a_wrong_size_is_not_published_whatever_was_synced(server, target, there, known):
    if known:
        server.banner, server.extensions = OPENSSH
    server.files[PART] = bytearray(there)
    target().deliver("a.csv", CONTENT, token=2, resume=publishing())
    assert server.files == {"in/a.csv": CONTENT}


def test_a_file_system_that_has_synced_it_is_believed_the_size(server, target):
    server.banner, server.extensions = OPENSSH
    server.files[PART] = bytearray(CONTENT)
    target().deliver("a.csv", CONTENT, token=2, resume=publishing())
    assert server.files == {"in/a.csv": CONTENT}
    assert (server.count(Kind.WRITE), server.count(Kind.READ)) == (0, 0)


# -- what is seen behind the rename ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("tells_by_name_only")
@pytest.mark.parametrize("then", [None, MISSING], ids=["it grows", "it is taken"])
def test_a_size_that_is_wrong_right_behind_the_rename_is_looked_at_again(server, target, then):
    server.answers(Kind.LSTAT, None, attributes(3), *[then] * 20, name=FINAL)
    assert target().deliver("a.csv", CONTENT).size == len(CONTENT)


def test_a_size_that_stays_wrong_behind_the_rename_is_a_persons_matter(server, target):
    server.answers(Kind.LSTAT, None, *[attributes(3)] * 50, name=FINAL)
    with pytest.raises(NotRepeatable, match=f"it was renamed, but has 3 bytes there and not {len(CONTENT)}"):
        target().deliver("a.csv", CONTENT)
    assert server.files == {"in/a.csv": CONTENT}


def test_a_directory_that_went_before_the_rename_is_made_again(server, target):
    server.answers(Kind.RENAME, lambda asked: server.directories.discard("in/2026"))
    target(appear="staging", staging_directory="staging").deliver("2026/a.csv", CONTENT)
    assert server.files == {"in/2026/a.csv": CONTENT}
    assert server.count(Kind.MKDIR) == 2


def test_a_rename_that_is_refused_into_a_new_directory_is_told_and_tried_again_without_sending(server, target):
    server.answers(Kind.RENAME, MISSING, status(FAILURE, "Invalid cross-device link"))
    to = target(appear="staging", staging_directory="staging")
    with pytest.raises(TransferError, match=r"refuses to rename.*cross-device.*on the same file system"):
        to.deliver("2026/a.csv", CONTENT)
    assert to.journal.states[-1]["refused"]
    to.deliver("2026/a.csv", CONTENT, token=2, resume=to.journal.states[-1])
    assert server.files == {"in/2026/a.csv": CONTENT}
    assert server.count(Kind.WRITE) == 1


# -- what is left when no attempt follows ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "left"),
    [
        ({}, {"in/a.csv": b"older"}),
        ({"in/a.csv": b"newer"}, {"in/a.csv": b"newer"}),
    ],
    ids=["it comes back", "it was replaced"],
)
def test_an_older_file_that_was_moved_aside_is_never_left_under_that_name(server, target, there, left):
    server.files |= {name: bytearray(content) for name, content in there.items()}
    server.files |= {"in/older.part": bytearray(b"older"), PART: bytearray(CONTENT)}
    target().destination.discard("a.csv", publishing(aside="in/older.part"))
    assert server.files == left


def test_an_older_file_stays_aside_where_the_server_does_not_tell_whether_there_is_a_newer_one(server, target):
    server.answers(Kind.LSTAT, status(FAILURE, "no"), times=None)
    server.files |= {"in/older.part": bytearray(b"older"), PART: bytearray(CONTENT)}
    target().destination.discard("a.csv", publishing(aside="in/older.part"))
    assert server.files == {"in/older.part": b"older"}


def test_a_file_under_its_own_name_is_the_recipients_and_not_removed(server, target):
    server.files["in/a.csv"] = bytearray(CONTENT)
    target(appear="direct").destination.discard("a.csv", {**publishing(), "part": "in/a.csv"})
    assert server.files == {"in/a.csv": CONTENT}
