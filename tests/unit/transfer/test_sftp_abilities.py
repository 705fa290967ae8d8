"""What a test of a destination tells of an SFTP server, and which settings it proposes."""

from __future__ import annotations

import time

import pytest

from client_delivery.transfer.finding import Findings
from client_delivery.transfer.sftp.abilities import Abilities
from client_delivery.transfer.sftp.packets import FAILURE, PERMISSION_DENIED, UNSUPPORTED, Kind, OpenFlag
from client_delivery.transfer.sftp.server import SPACE, Server
from client_delivery.transfer.sftp.temporary import TemporaryNames
from tests.unit.transfer.sftp_kit import SECRET, section
from tests.unit.transfer.sftp_server import OPENSSH, attributes
from tests.unit.transfer.sftp_wire import status

REFUSED = status(PERMISSION_DENIED, "no")
FIRST, SECOND = "probea", "probeb"


class Told:
    """What was found, by what was tried."""

    def __init__(self, findings: Findings) -> None:
        self._found = {one.what: one for one in findings.findings}
        self.fits = {fit.field: fit.value for fit in findings.fits}

    def __getitem__(self, what: str) -> tuple[str, str]:
        return self._found[what].outcome, self._found[what].told

    def needed(self, what: str) -> bool:
        return self._found[what].needed


@pytest.fixture
def tried(server):
    """``tried(verify="read_back")``: what comes of it with that configuration."""

    def try_all(*, files: bool = True, **options) -> Told:
        config, findings, known = section(**options), Findings(), Server()
        names = TemporaryNames(config)
        with server.session() as sftp:
            known.introduce(server.banner, sftp.extensions)
            abilities = Abilities(config, SECRET, findings, names=names, server=known, path="in/probe.txt")
            abilities.try_all(sftp, files=files)
        assert set(server.files) <= set(abilities.made), "whatever is left is known, to be removed"
        return Told(findings)

    return try_all


def test_a_server_that_can_all_of_it(server, tried):
    server.banner, server.extensions = OPENSSH
    server.modified = int(time.time())
    told = tried(file_mode="0644")
    for what in ("Size", "Clock", "Exclusive create", "File mode", "Reading back", "Going on", "Parallel writes"):
        assert told[what][0] == "yes", what
    assert told["Connections"] == ("yes", "4 at once, as configured")
    assert told.fits == {}


@pytest.mark.parametrize(("free", "told"), [(2**30, ("no", "1 GiB are left")), (2**44, ("yes", "16 TiB are left"))])
def test_little_space_is_told_and_hinders_nothing(server, tried, free, told):
    server.extensions, server.free = (SPACE,), free
    found = tried()
    assert found["Free space"] == told
    assert not (told[0] == "no" and found.needed("Free space"))


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (status(UNSUPPORTED, "no stat"), "the server does not tell (no stat)"),
        (attributes(40_001), "the server says 40001, and 40000 were written"),
    ],
    ids=["none", "a wrong one"],
)
@pytest.mark.parametrize(("verify", "fits"), [("size", {"verify": "read_back"}), ("read_back", {})])
def test_where_no_size_can_be_relied_on_reading_back_is_proposed(server, tried, answer, size, verify, fits):
    server.answers(Kind.LSTAT, answer, name=FIRST, times=None)
    told = tried(verify=verify, connections=1)
    assert told["Size"] == ("unknown", size)
    assert told.fits == fits


@pytest.mark.parametrize(
    ("differs", "told"),
    [
        (None, ("unknown", "the server does not tell")),
        (3600, ("no", "the server's is 3600 s ahead")),
        (-3600, ("no", "the server's is 3600 s behind")),
        (0, ("yes", "the server's differs by less than 2 s from ours")),
    ],
)
def test_a_clock_that_is_wrong_is_told_with_its_direction(server, tried, differs, told, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.abilities.time.time", lambda: 1_700_000_000.0)
    server.modified = None if differs is None else 1_700_000_000 + differs
    assert tried()["Clock"] == told


def test_a_server_that_opens_what_is_there_as_new_is_told(server, tried):
    server.answers(Kind.OPEN, None, server.open_anyway, name=FIRST)
    told = tried()
    assert told["Exclusive create"] == ("unknown", "the server opens what is there; deliveries look first")


@pytest.mark.parametrize(
    ("has", "told"),
    [
        (None, ("unknown", "the server does not tell")),
        (0o640, ("yes", "0640 is taken")),
        (0o600, ("no", "0640 was asked for, and the file has 0600")),
    ],
)
def test_permissions_are_compared_with_those_that_were_asked_for(server, tried, has, told):
    server.mode = has
    found = tried(file_mode="0640")
    assert found["File mode"] == told
    assert not (told[0] == "no" and found.needed("File mode"))


@pytest.mark.parametrize(
    ("verify", "told", "fits"),
    [
        ("read_back", ("no", "refused: no"), {"verify": "size"}),
        ("size", ("unknown", "refused (no); deliveries do without it"), {}),
    ],
)
def test_reading_that_is_refused_only_hinders_who_reads_back(server, tried, verify, told, fits):
    server.answers(
        Kind.OPEN,
        lambda asked: REFUSED if asked.flags & OpenFlag.READ else None,
        times=None,
    )
    found = tried(verify=verify)
    assert found["Reading back"] == told
    assert found["Going on"][1].startswith("whether the bytes stay cannot be read back")
    assert found["Parallel writes"][1] == "whether the bytes survive cannot be read back: one writer each"
    assert found.fits == fits


def test_other_bytes_than_were_written_are_a_fault_of_the_server(server, tried):
    def spoil(asked):
        server.files[asked.name][0] ^= 1

    server.answers(Kind.CLOSE, spoil, name=FIRST)
    told = tried()
    assert told["Reading back"] == ("no", "other bytes came back than were written")
    assert told.needed("Reading back")


@pytest.mark.parametrize(
    ("kind", "answers", "told"),
    [
        (Kind.WRITE, [None, None, REFUSED], "refused (no): an interrupted file starts over"),
        (Kind.OPEN, [None, None, None, None, REFUSED], "whether the bytes stay cannot be read back: an interrupted"),
        (Kind.READ, [None, None, None, status(FAILURE)], "whether the bytes stay cannot be read back: an interrupted"),
    ],
)
def test_going_on_that_is_refused_or_cannot_be_proven_means_starting_over(server, tried, kind, answers, told):
    server.answers(kind, *answers, name=FIRST)
    outcome, found = tried()["Going on"]
    assert outcome == "unknown"
    assert found.startswith(told)


def test_a_server_that_empties_what_is_opened_again_cannot_go_on(server, tried):
    def empty(asked):
        if asked.flags == OpenFlag.WRITE:
            del server.files[asked.name][:]

    server.answers(Kind.OPEN, empty, name=FIRST, times=None)
    assert "a file that is opened again loses what is in it" in tried()["Going on"][1]


@pytest.mark.parametrize(("parallel", "fits"), [(True, {"parallel_writes": False}), (None, {})])
def test_two_writers_that_spoil_a_file_are_forbidden_where_they_were_allowed(server, tried, parallel, fits):
    def spoil(asked):
        del server.files[asked.name][:40_000]

    server.answers(Kind.CLOSE, None, spoil, name=SECOND)
    told = tried(parallel_writes=parallel)
    assert told["Parallel writes"] == ("unknown", "**the bytes do not survive two writers**: one writer for each file")
    assert told.fits == fits


def test_two_writers_on_a_server_that_nobody_knows_are_proposed_with_a_question(tried):
    told = tried()
    assert told["Parallel writes"] == ("yes", "the bytes survive two writers of one file")
    assert told.fits == {"parallel_writes": True}


def test_a_second_writer_that_is_refused_leaves_one(server, tried):
    server.answers(Kind.OPEN, None, REFUSED, name=SECOND)
    assert tried()["Parallel writes"] == ("unknown", "refused (no): one writer for each file")


@pytest.mark.parametrize("most", [1, 2])
def test_as_many_connections_are_proposed_as_the_server_takes(server, tried, most):
    server.most = most
    told = tried()
    assert told["Connections"] == ("no", f"{most} at once, and 4 are configured: the server takes {most} connections")
    assert told.fits["connections"] == most
    if most == 1:
        assert told["Parallel writes"] == ("unknown", "not tried: the server takes no second connection")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"appear": "direct"}, "with appear: direct there are no temporary files"),
        ({"files": False}, "temporary files would stay"),
    ],
)
def test_no_file_is_written_where_none_can_be_tried_or_removed(server, tried, options, why):
    assert tried(**options)["Details"] == ("unknown", f"not tried: {why}")
    assert server.count(Kind.OPEN) == 0


def test_a_file_that_cannot_be_written_ends_the_details_and_not_the_test(server, tried):
    server.answers(Kind.WRITE, status(FAILURE, "disk full"))
    told = tried(connections=1)
    assert told["Details"] == ("unknown", "not tried: disk full")
    assert told["Connections"] == ("yes", "1 at once, as configured")
