"""Files under their own names (``appear: direct``): what is there after trouble is ours, another's, or a question."""

from __future__ import annotations

import pytest

from client_delivery.transfer.contract import NotRepeatable, TransferError
from client_delivery.transfer.sftp.packets import FAILURE, NO_SUCH_FILE, PERMISSION_DENIED, UNSUPPORTED, Kind, OpenFlag
from tests.unit.transfer.sftp_server import MISSING, Lost
from tests.unit.transfer.sftp_wire import status

SMALL = b"12345678;SMITH\n" * 100
LARGE = bytes(range(256)) * 12 * 1024  # three reads of a MiB, 96 writes
REFUSED = status(PERMISSION_DENIED, "no")


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def content(request):
    return request.param


@pytest.fixture
def direct(target):
    """A destination with ``appear: direct``; a MiB is not small there."""
    return lambda **options: target(appear="direct", small=1024**2, **options)


def test_a_close_whose_response_is_lost_is_a_delivery_if_all_is_there(server, direct, content):
    server.answers(Kind.CLOSE, Lost.AFTER, name="a.csv")
    plain = direct().deliver("b.csv", content)
    receipt = direct().deliver("a.csv", content)
    assert server.files == {"in/a.csv": content, "in/b.csv": content}
    assert server.count(Kind.OPEN, "a.csv") == 2, "written once, and read once"
    assert (receipt.checksum, receipt.verified_by) == (plain.checksum, "size, direct")


def test_what_was_cut_is_sent_again_from_its_beginning(server, direct, content):
    server.answers(Kind.WRITE, *[None] * (len(content) // 2**16), Lost.BEFORE)
    to = direct()
    to.deliver("a.csv", content)
    assert server.files == {"in/a.csv": content}
    assert to.journal.moved == len(content), "what was sent in vain does not count twice"


def test_what_was_cut_is_known_by_its_size_where_nobody_may_read(server, direct, content):
    server.answers(Kind.WRITE, *[None] * (len(content) // 2**16), Lost.BEFORE)
    server.answers(Kind.OPEN, lambda asked: REFUSED if asked.flags & OpenFlag.READ else None, times=None)
    direct().deliver("a.csv", content)
    assert server.files == {"in/a.csv": content}


def test_other_bytes_of_the_same_size_are_no_delivery(server, direct, content):
    def spoil(asked):
        server.files[asked.name][0] ^= 1
        return Lost.AFTER

    server.answers(Kind.CLOSE, spoil)
    direct().deliver("a.csv", content)
    assert server.files == {"in/a.csv": content}


@pytest.mark.parametrize(
    ("kind", "answers", "why"),
    [
        (Kind.OPEN, [None, REFUSED], "a file of its size is there, which the server does not let us read"),
        (Kind.LSTAT, [status(UNSUPPORTED)] * 5, "the server does not say what it has there"),
    ],
)
def test_what_cannot_be_looked_at_after_a_lost_close_is_a_question_for_the_client(
    server, direct, content, kind, answers, why
):
    server.answers(Kind.CLOSE, Lost.AFTER)
    server.answers(kind, *answers)
    with pytest.raises(NotRepeatable, match=why):
        direct().deliver("a.csv", content)
    assert server.files == {"in/a.csv": content}


def test_a_file_that_is_gone_after_a_lost_close_is_not_sent_twice(server, direct, content):
    def taken(asked):
        server.files.clear()
        return Lost.AFTER

    server.answers(Kind.FSTAT, status(UNSUPPORTED), times=None)
    to = direct()
    to.deliver("b.csv", content)  # so it is known that this server tells what is there
    server.answers(Kind.CLOSE, taken)
    with pytest.raises(NotRepeatable, match="it is not there: the recipient may have taken it"):
        to.deliver("a.csv", content)
    assert server.files == {}


def test_the_half_of_a_refused_file_is_removed(server, direct, content):
    server.answers(Kind.WRITE, *[None] * (len(content) // 2**16), status(FAILURE, "disk full"))
    to = direct()
    with pytest.raises(TransferError, match="disk is full"):
        to.deliver("a.csv", content)
    assert server.files == {}
    assert "publishing" not in to.journal.states[-1], "the next attempt sends it"


def test_a_half_that_may_not_be_removed_is_told_by_the_refusal_that_came_first_and_replaced_next_time(
    server, direct, content
):
    server.answers(Kind.WRITE, status(FAILURE, "disk full"))
    server.answers(Kind.REMOVE, REFUSED)
    to = direct()
    with pytest.raises(TransferError, match="disk is full"):
        to.deliver("a.csv", content)
    to.deliver("a.csv", content, token=2, resume=to.journal.states[-1])
    assert server.files == {"in/a.csv": content}


def test_a_half_that_was_taken_away_is_not_followed_by_the_whole(server, direct, content):
    server.answers(Kind.WRITE, status(FAILURE, "disk full"))
    server.answers(Kind.REMOVE, MISSING)
    with pytest.raises(NotRepeatable, match="the bytes that had arrived are no longer there"):
        direct().deliver("a.csv", content)


@pytest.mark.parametrize("code", [NO_SUCH_FILE, FAILURE])
def test_a_file_that_was_taken_before_it_could_be_read_back_was_acknowledged(server, direct, content, code):
    server.answers(Kind.OPEN, None, status(code))
    receipt = direct(verify="read_back").deliver("a.csv", content)
    assert (receipt.size, receipt.verified_by) == (len(content), "acknowledged, direct")


def test_a_file_that_may_not_be_read_back_is_told_and_not_sent_again_for_that(server, direct, content):
    server.answers(Kind.OPEN, None, REFUSED)
    to = direct(verify="read_back")
    with pytest.raises(TransferError, match=r"Reading back is refused.*set destination\.verify to size"):
        to.deliver("a.csv", content)
    to.deliver("a.csv", content, token=2, resume=to.journal.states[-1])
    writes = len(content) // 2**15 or 1
    assert server.count(Kind.WRITE) == writes, "the next attempt finds it there"


def test_r6_8_a_link_of_that_name_is_not_written_through(server, direct, content):
    server.links["in/a.csv"] = "in/precious"
    to = direct()
    with pytest.raises(TransferError, match="is a symbolic link, which is not followed"):
        to.deliver("a.csv", content)
    assert server.count(Kind.WRITE) == 0
    server.links.clear()
    to.deliver("a.csv", content, token=2, resume=to.journal.states[-1])
    assert server.files == {"in/a.csv": content}
