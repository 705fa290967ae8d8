"""A new file on an SFTP server: under which name, by which flags, and in whose way."""

from __future__ import annotations

import hashlib

import pytest

from client_delivery.transfer.contract import Interrupted, TransferError, UnsafeName
from client_delivery.transfer.sftp.packets import FAILURE, PERMISSION_DENIED, UNSUPPORTED, Kind, OpenFlag
from tests.unit.transfer.sftp_server import MISSING, attributes
from tests.unit.transfer.sftp_wire import status

CONTENT = b"12345678;SMITH\n" * 100
ETAG = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
PART = f"in/.a.csv.{ETAG[:12]}.1.part"
TEMPORARY = r"\.part$"
REFUSED = status(PERMISSION_DENIED, "no")


def opened_for_writing(server):
    return [asked.name for asked in server.asked if asked.kind == Kind.OPEN and asked.flags & OpenFlag.WRITE]


def test_a_server_that_refuses_hidden_names_gets_another_form_and_then_that_at_once(server, target):
    server.answers(Kind.OPEN, REFUSED, name=r"/\.", times=None)
    to = target()
    to.deliver("a.csv", CONTENT)
    tried = len(opened_for_writing(server))
    to.deliver("b.csv", CONTENT)
    assert server.files == {"in/a.csv": CONTENT, "in/b.csv": CONTENT}
    assert len(opened_for_writing(server)) == tried + 1


def test_a_full_disk_is_told_at_once_and_no_other_name_is_tried(server, target):
    server.answers(Kind.OPEN, status(FAILURE, "No space left on device"), times=None)
    with pytest.raises(TransferError, match="disk is full, or a quota used up"):
        target().deliver("a.csv", CONTENT)
    assert set(opened_for_writing(server)) == {PART}


def test_a_server_that_knows_no_exclusive_create_is_asked_for_it_once(server, target):
    server.answers(
        Kind.OPEN,
        lambda asked: status(UNSUPPORTED) if asked.flags & OpenFlag.EXCLUSIVE else None,
        times=None,
    )
    to = target()
    to.deliver("a.csv", CONTENT)
    first = len(opened_for_writing(server))
    to.deliver("b.csv", CONTENT)
    assert server.files == {"in/a.csv": CONTENT, "in/b.csv": CONTENT}
    assert len(opened_for_writing(server)) == first + 1


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_this_attempt_left_itself_makes_way(server, target, exclusive):
    to = target()
    to.destination.server.exclusive = exclusive
    server.files[PART] = bytearray(b"12345")
    to.deliver("a.csv", CONTENT)
    assert server.files == {"in/a.csv": CONTENT}


@pytest.mark.parametrize("exclusive", [True, False])
def test_r6_8_a_link_that_cannot_be_removed_is_not_written_through(server, target, exclusive):
    to = target()
    to.destination.server.exclusive = exclusive
    server.files["in/precious"] = bytearray(b"precious")
    server.answers(Kind.LSTAT, lambda asked: server.links.setdefault(PART, "in/precious") and None, times=None)
    server.links[PART] = "in/precious"
    server.answers(Kind.REMOVE, REFUSED, times=None)
    server.answers(Kind.OPEN, REFUSED, name=r"/[^.]|/\.\w{12}\.1", times=None)  # no other form of name
    with pytest.raises(TransferError, match="refuses to open"):
        to.deliver("a.csv", CONTENT)
    assert server.files == {"in/precious": b"precious"}


def test_a_file_that_was_written_under_its_own_name_stays_until_the_new_version_is_complete(server, target):
    """The configuration has changed since from ``direct`` to ``rename``."""
    server.files["in/a.csv"] = bytearray(b"older version")
    state = {"part": "in/a.csv", "etag": "0" * 32}
    server.answers(Kind.WRITE, REFUSED)
    to = target()
    with pytest.raises(TransferError, match="refuses to write"):
        to.deliver("a.csv", CONTENT, token=2, resume=state)
    assert server.files == {"in/a.csv": b"older version"}
    to.deliver("a.csv", CONTENT, token=3, resume=state)
    assert server.files == {"in/a.csv": CONTENT}


def test_who_is_told_to_stop_right_before_the_rename_leaves_the_file_for_the_next_attempt(server, target, monkeypatch):
    def stop():
        raise Interrupted

    to = target()
    monkeypatch.setattr(to.journal, "confirm", stop)
    with pytest.raises(Interrupted):
        to.deliver("a.csv", CONTENT)
    assert server.files == {PART: CONTENT}
    monkeypatch.undo()


# -- names that the server does not tell from each other ---------------------------------------------------------------


@pytest.fixture
def folding(server):
    """The server does not distinguish upper from lower case."""

    def told(asked):
        found = next((name for name in server.files if name.casefold() == asked.name.casefold()), None)
        return None if found is None else attributes(len(server.files[found]))

    server.answers(Kind.LSTAT, told, times=None)


@pytest.mark.usefixtures("folding")
@pytest.mark.parametrize("size", [1000, 5 * 1024**2], ids=["small", "large"])
def test_a_file_of_another_spelling_is_not_overwritten_and_nothing_is_left(server, target, size):
    server.files["in/A.csv"] = bytearray(b"another")
    with pytest.raises(UnsafeName, match=r"'A\.csv' is there in place of 'in/a\.csv'"):
        target().deliver("a.csv", bytes(size))
    assert server.files == {"in/A.csv": b"another"}


@pytest.mark.usefixtures("folding")
def test_an_older_file_of_the_same_spelling_is_replaced(server, target):
    server.files["in/a.csv"] = bytearray(b"older")
    target().deliver("a.csv", CONTENT)
    assert server.files == {"in/a.csv": CONTENT}


@pytest.mark.usefixtures("folding")
def test_where_nobody_may_list_an_older_file_is_taken_for_one_of_the_same_spelling(server, target):
    server.files["in/a.csv"] = bytearray(b"older")
    server.answers(Kind.OPENDIR, REFUSED, times=None)
    target().deliver("a.csv", CONTENT)
    assert server.files == {"in/a.csv": CONTENT}


@pytest.mark.usefixtures("folding")
def test_two_files_of_one_batch_that_differ_in_case_only_are_told_by_the_first(server, target):
    to = target()
    to.deliver("a.csv", CONTENT)
    server.files.clear()  # the recipient has taken it
    with pytest.raises(UnsafeName, match=r"'in/a\.csv' is there in place of 'in/A\.csv'"):
        to.deliver("A.csv", b"another")
    assert server.files == {}


# -- directories -------------------------------------------------------------------------------------------------------


def test_a_directory_that_is_a_file_is_said_so_before_anything_is_sent(server, target):
    server.files["in/box"] = bytearray(b"x")
    server.directories.add("in/box")
    server.answers(Kind.STAT, attributes(1, 0o100644), name="in/box")
    with pytest.raises(TransferError, match=r"'in/box' is not a directory\. Correct destination\.directory"):
        target(directory="in/box")


def test_a_directory_that_may_not_be_made_is_told_with_the_servers_reason(server, target):
    server.answers(Kind.MKDIR, REFUSED)
    with pytest.raises(TransferError, match=r"refuses to mkdir \(permission denied: no.*create the folder"):
        target().deliver("2026/a.csv", CONTENT)


def test_a_directory_that_the_server_does_not_tell_of_may_be_there(server, target):
    server.directories.add("in/2026")
    server.answers(Kind.LSTAT, status(UNSUPPORTED), name="in/2026$")
    target().deliver("2026/a.csv", CONTENT)
    assert server.files == {"in/2026/a.csv": CONTENT}


def test_a_directory_that_is_a_link_leads_no_file_away(server, target):
    server.links["in/2026"] = "elsewhere"
    with pytest.raises(TransferError, match="'in/2026' is a symbolic link"):
        target().deliver("2026/a.csv", CONTENT)
    assert server.files == {}


def test_a_rename_onto_a_directory_is_named(server, target):
    server.directories.add("in/a.csv")
    with pytest.raises(TransferError, match="the recipient has a directory of that name"):
        target().deliver("a.csv", CONTENT)
    assert "in/a.csv" in server.directories


def test_where_no_directory_can_be_missing_a_missing_one_is_told(server, target):
    server.answers(Kind.OPEN, MISSING)
    with pytest.raises(TransferError, match="refuses to open"):
        target().deliver("a.csv", CONTENT)
