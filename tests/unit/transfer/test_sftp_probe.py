"""A test of an SFTP destination: what it says of servers in trouble, and that nothing of it stays behind."""

from __future__ import annotations

import socket

import pytest

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.finding import Findings
from client_delivery.transfer.sftp import probe_way
from client_delivery.transfer.sftp.connection import Unreached
from client_delivery.transfer.sftp.host_key_scan import Scanned
from client_delivery.transfer.sftp.packets import FAILURE, PERMISSION_DENIED, Kind
from client_delivery.transfer.sftp.probe import SftpProbe
from client_delivery.transfer.sftp.server import POSIX_RENAME
from tests.unit.transfer.sftp_kit import SECRET, section
from tests.unit.transfer.sftp_server import HOST_KEY, Lost
from tests.unit.transfer.sftp_wire import status

REFUSED = status(PERMISSION_DENIED, "no")
PROBE = "in/probe.txt"
FINAL = r"probe\.txt$"


class Told:
    """What was found, by what was tried; the last finding of each."""

    def __init__(self, findings: Findings) -> None:
        self._found = {one.what: one for one in findings.findings}
        self.fits = {fit.field: fit.value for fit in findings.fits}
        self.left = findings.left

    def __contains__(self, what: str) -> bool:
        return what in self._found

    def __getitem__(self, what: str) -> tuple[str, str]:
        return self._found[what].outcome, self._found[what].told

    def ask(self, what: str) -> str:
        return self._found[what].ask


@pytest.fixture
def tested(server):
    """``tested(leave=True)``: what a test of the destination finds."""

    def run(*, write: bool = True, leave: bool = False, **options) -> Told:
        findings, config = Findings(), section(host="127.0.0.1", **{"connections": 1, **options})
        SftpProbe(config, SECRET, findings, name="probe.txt", leave=leave).run(write=write)
        return Told(findings)

    return run


def test_a_server_without_trouble_has_no_trace_of_the_test(server, tested):
    told = tested()
    assert told["Delivery"][0] == told["Replacing"][0] == "yes"
    assert told["Temporary names"] == ("yes", ".<name>….part is taken")
    assert told["Removing"] == ("yes", "the test left nothing")
    assert (server.files, told.left) == ({}, [])


# -- what the account may do -------------------------------------------------------------------------------------------


@pytest.fixture
def may_not_remove(server):
    server.answers(Kind.REMOVE, REFUSED, times=None)


@pytest.mark.usefixtures("may_not_remove")
@pytest.mark.parametrize("leave", [False, True])
def test_an_account_that_may_only_read_is_told_without_a_file(server, tested, leave):
    server.answers(Kind.OPEN, REFUSED, times=None)
    told = tested(leave=leave)
    assert told["Writing"] == ("no", "'acme' may not write files")
    assert ("Removing" in told) is not leave
    assert "Delivery" not in told
    assert server.files == {}


@pytest.mark.usefixtures("may_not_remove")
def test_a_file_that_the_server_made_when_it_was_asked_is_said_to_be_there(server, tested):
    def make(asked):
        server.files[asked.name] = bytearray()

    server.answers(Kind.OPEN, make, name=FINAL)
    told = tested()
    assert told.left == [f"{PROBE}: the server made it, empty, when it was asked whether files can be"]
    assert "Or agree that a test file stays" in told.ask("Removing")
    assert "Delivery" not in told


@pytest.mark.usefixtures("may_not_remove")
@pytest.mark.parametrize(("extensions", "aside"), [((POSIX_RENAME,), 0), ((), 1)])
def test_test_files_that_may_stay_are_named_with_what_was_moved_aside(server, tested, extensions, aside):
    server.extensions = extensions
    told = tested(leave=True)
    assert told["Delivery"][0] == told["Replacing"][0] == "yes"
    assert sorted(told.left) == sorted(f"{name}: no" for name in server.files)
    assert sorted(name == PROBE for name in server.files) == [False] * aside + [True]
    assert told["Removing"][0] == "no"


def test_what_an_account_may_remove_it_is_taken_to_be_able_to_write(server, tested):
    """A file of the test's name, of an earlier test that was cut off, is gone with that."""
    server.files[PROBE] = bytearray(b"of an earlier test")
    assert tested()["Delivery"][0] == "yes"
    assert server.files == {}


def test_nothing_is_written_where_only_the_way_is_tested(server, tested):
    told = tested(write=False)
    assert told["Directory"][0] == told["Listing"][0] == "yes"
    assert server.count(Kind.REMOVE) == server.count(Kind.WRITE) == 0


def test_a_directory_that_nobody_may_look_at_or_list_is_used_all_the_same(server, tested):
    server.answers(Kind.STAT, status(FAILURE, "no stat"), times=None)
    server.answers(Kind.OPENDIR, REFUSED, times=None)
    told = tested()
    assert told["Directory"] == ("unknown", "the server does not let us look at 'in': no stat")
    assert told["Listing"] == ("unknown", "refused (no); deliveries do without it")
    assert told["Delivery"][0] == "yes"


# -- deliveries that fail ----------------------------------------------------------------------------------------------


def test_a_rename_that_is_refused_proposes_to_do_without(server, tested):
    server.answers(Kind.RENAME, REFUSED, times=None)
    told = tested()
    assert told["Delivery"][0] == "no"
    assert told.ask("Delivery") == "Let 'acme' rename files in 'in'."
    assert told.fits == {"appear": "direct"}
    assert server.files == {}


def test_a_move_from_the_staging_directory_that_is_refused_asks_for_the_file_systems(server, tested):
    server.answers(Kind.RENAME, status(FAILURE, "Invalid cross-device link"), times=None)
    told = tested(appear="staging", staging_directory="staging")
    assert "on the same file system" in told.ask("Delivery")
    assert told.fits == {"appear": "rename"}
    assert server.files == {}


@pytest.mark.parametrize(
    ("refusal", "ask"),
    [
        (status(FAILURE, "disk quota exceeded"), "Make room in 'in', or raise the quota of 'acme'."),
        (status(FAILURE, "no"), "Let 'acme' write files in 'in', and make room there."),
    ],
)
def test_bytes_that_are_refused_ask_for_room_or_for_the_right(server, tested, refusal, ask):
    server.answers(Kind.WRITE, refusal, times=None)
    told = tested()
    assert told.ask("Delivery") == ask
    assert told["Removing"] == ("yes", "the test left nothing")


def test_a_file_that_cannot_be_replaced_is_no_hindrance_for_a_first_one(server, tested):
    server.answers(Kind.RENAME, None, status(FAILURE, "File exists"), REFUSED)
    told = tested()
    assert told["Delivery"][0] == "yes"
    assert told["Replacing"][0] == "no"
    assert server.files == {}


def test_a_file_that_is_taken_away_is_the_recipients_who_are_to_be_told(server, tested):
    server.answers(Kind.LSTAT, None, None, lambda asked: server.files.clear(), name=FINAL)
    told = tested()
    assert told["Taken away"][1] == f"the recipient's side has taken '{PROBE}' away: tell them that it was a test"
    assert told["Removing"][1] == "the test left nothing but the file that the recipient's side has taken"


def test_a_connection_that_is_lost_at_the_last_look_says_nothing_of_the_file(server, tested):
    server.answers(Kind.LSTAT, None, None, Lost.BEFORE, name=FINAL)
    told = tested()
    assert "Taken away" not in told
    assert told["Replacing"][0] == "yes"
    assert server.files == {}


def test_a_server_that_refuses_the_first_form_of_names_gets_the_one_that_it_takes_proposed(server, tested):
    server.answers(Kind.OPEN, REFUSED, name=r"/\.", times=None)
    told = tested()
    assert told["Temporary names"] == ("unknown", ".….part is refused; <name>….part is taken")
    assert told.fits["temporary_prefix"] == ""
    assert told.fits["temporary_suffix"] == ".part"


def test_files_under_their_own_names_have_no_temporary_ones(server, tested):
    told = tested(appear="direct")
    assert told["Temporary names"] == ("unknown", "not used: appear: direct")
    assert "it is emptied first" in told["Replacing"][1]
    assert server.files == {}


# -- connections that are lost -----------------------------------------------------------------------------------------


def test_a_connection_that_is_lost_at_the_first_look_is_told(server, tested):
    server.answers(Kind.OPENDIR, Lost.BEFORE)
    told = tested()
    assert told["Connection"] == ("no", "it was lost in the middle of the test: the server closed the connection")
    assert "Delivery" not in told


def test_a_connection_that_is_lost_among_the_details_leaves_nothing_behind(server, tested):
    server.answers(Kind.FSETSTAT, Lost.BEFORE, name="probea")
    server.answers(Kind.CLOSE, Lost.BEFORE, name="probea")
    told = tested()
    assert told["Connection"][0] == "no"
    assert told["Delivery"][0] == told["Removing"][0] == "yes"
    assert (server.files, told.left) == ({}, [])


def test_a_server_that_lets_nobody_in_again_may_have_what_the_test_left(server, tested):
    def shut(asked):
        server.most = 0
        return Lost.BEFORE

    server.answers(Kind.CLOSE, shut, name="probea")
    told = tested()
    assert [f"{PROBE}, and temporary files of that name, may be there" in one for one in told.left] == [True]
    assert "Removing" not in told


def test_a_server_that_takes_no_connection_after_the_deliveries_may_have_their_file(server, tested):
    def shut(asked):
        server.most = 0

    server.answers(Kind.RENAME, None, None, shut, times=None)
    told = tested()
    assert told["Delivery"][0] == "yes"
    assert told.left == [f"{PROBE}, and temporary files of that name, may be there: the server takes 0 connections"]


def test_what_may_not_be_removed_because_it_is_gone_is_not_left(server, tested):
    """Some servers call everything a failure."""

    def gone(asked):
        server.files.pop(asked.name, None)
        return status(FAILURE, "Failure")

    server.answers(Kind.REMOVE, None, gone, name=FINAL)
    told = tested()
    assert told["Removing"] == ("yes", "the test left nothing")
    assert told.left == []


# -- the way there -----------------------------------------------------------------------------------------------------


def way(monkeypatch, error: Exception, **learned: object) -> Told:
    """What is told of a connection that ends like that, with so much learned of the server."""

    def connect(*_, learned: object, **__):
        for name, value in known.items():
            setattr(learned, name, value)
        raise error

    known = {"address": "192.0.2.1:22", "own_address": "192.0.2.9", **learned}
    monkeypatch.setattr(probe_way, "SftpConnection", connect)
    findings = Findings()
    SftpProbe(section(host="127.0.0.1"), SECRET, findings, name="probe.txt").run(write=True)
    return Told(findings)


def test_a_name_that_has_no_address_ends_the_test(server, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    findings = Findings()
    SftpProbe(section(), SECRET, findings, name="probe.txt").run(write=True)
    assert [(one.what, one.told) for one in findings.findings] == [
        ("Name", "sftp.example.org: Name or service not known")
    ]


@pytest.mark.parametrize("keys", [[HOST_KEY], []])
@pytest.mark.parametrize("error", [DestinationUnavailable, Unreached])
def test_the_servers_keys_are_shown_where_both_sides_agree_on_nothing(monkeypatch, error, keys):
    asked = []
    monkeypatch.setattr(probe_way, "scan", lambda *_, **__: asked.append(1) or Scanned("Acme_1.0", keys))
    told = way(monkeypatch, error("no"))
    assert told["Secure connection"] == ("no", "no")
    broken = error is Unreached
    assert len(asked) == (not broken), "who breaks connections off is not asked for five more"
    assert told.fits == ({"host_keys": keys} if keys and not broken else {})


def test_an_account_that_logs_in_without_sftp_asks_for_that_alone(monkeypatch):
    told = way(
        monkeypatch,
        DestinationUnavailable("The SFTP server accepts the login but offers no SFTP: refused."),
        host_key=HOST_KEY,
        banner="Acme_1.0",
        algorithms="some",
        offered=["password"],
        accepted=["password"],
    )
    assert told["Login"] == ("yes", "'acme' by password (offered: password)")
    assert told["SFTP"][0] == "no"
    assert told.ask("SFTP") == "Let 'acme' use SFTP, not only SSH."
