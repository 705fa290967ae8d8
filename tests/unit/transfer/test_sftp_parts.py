"""What of the SFTP engine needs no server: names, patience, and what a banner is taken for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from client_delivery.config.model import SftpSection
from client_delivery.transfer.contract import UnsafeName
from client_delivery.transfer.naming import remote_path
from client_delivery.transfer.pace import Pace
from client_delivery.transfer.sftp.pace import patience
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.temporary import TemporaryNames

GIB = 1024**3
ETAG = "0123456789abcdef0123456789abcdef"
FILE_SYSTEM = frozenset(
    {"hardlink@openssh.com", "fstatvfs@openssh.com", "fsync@openssh.com", "posix-rename@openssh.com"}
)
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA9R3lUxvyx+XrErJyTvyowMYNkFKKQMAKjiCXjSlqAH"


def destination(**options):
    return SftpSection(
        type="sftp",
        host="sftp.example.org",
        username="acme",
        directory="in",
        connection_id="acme_sftp",
        host_keys=(HOST_KEY,),
        **options,
    )


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["in/.a.csv.0123456789ab.7.part", "in/a.csv.0123456789ab.7.part", "in/.0123456789ab.7.a.csv"]),
        ({"temporary_suffix": ".tmp"}, ["in/.a.csv.0123456789ab.7.tmp"]),
        ({"temporary_prefix": "tmp-", "temporary_suffix": ""}, ["in/tmp-0123456789ab.7.a.csv"]),
    ],
)
def test_temporary_names_in_the_order_in_which_they_are_tried(options, names):
    temporary = TemporaryNames(destination(**options))
    assert [temporary.path("in/a.csv", ETAG, 7, form) for form in range(len(temporary.forms))] == names
    for name in names:
        assert temporary.parsed(name.removeprefix("in/")) == ("a.csv", ETAG[:12])


def test_temporary_names_in_a_staging_directory_do_not_meet():
    temporary = TemporaryNames(destination(appear="staging", staging_directory="/staging"))
    one, other = (temporary.path(f"in/{folder}/a.csv", ETAG, 1, 0) for folder in ("x", "y"))
    assert one != other
    assert one.startswith("/staging/.a.csv.")
    assert temporary.directory_of("in/x/a.csv") == "/staging"
    assert temporary.parsed(one.removeprefix("/staging/")) == (temporary.key_of("in/x/a.csv"), ETAG[:12])


@pytest.mark.parametrize("name", ["é" * 127, "x" * 255])
def test_temporary_names_are_no_longer_than_a_name_may_be(name):
    temporary = TemporaryNames(destination())
    for form in range(3):
        base = temporary.path(f"in/{name}", ETAG, "123.old", form).removeprefix("in/")
        assert len(base.encode()) <= 255


def test_the_recipients_own_files_are_not_taken_for_temporary_ones():
    temporary = TemporaryNames(destination())
    for name in ("a.csv", ".hidden", "a.part", ".a.csv.part", ".a.csv.0123456789ab.7.old.part"):
        assert temporary.parsed(name) is None


@pytest.mark.parametrize(
    ("banner", "extensions", "several"),
    [
        ("OpenSSH_9.2p1 Debian-2", FILE_SYSTEM, True),
        ("dropbear_2022.83", FILE_SYSTEM, True),
        ("OpenSSH_9.2p1", frozenset(), False),
        ("OpenSSH_for_Windows_9.5", FILE_SYSTEM, False),
        ("AWS_SFTP_1.1", FILE_SYSTEM, False),
        ("AsyncSSH_2.22.0", FILE_SYSTEM, False),
        ("", frozenset(), False),
    ],
)
def test_several_writers_only_where_a_file_system_is_known(banner, extensions, several):
    server = Server()
    server.introduce(banner, extensions)
    assert server.several_writers(None) is several
    assert server.several_writers(allowed=True) is True
    assert server.several_writers(allowed=False) is False
    server.spoilt_by_lanes = True
    assert server.several_writers(allowed=True) is False


def test_patience_grows_with_the_size():
    assert patience(0) == 300
    assert patience(100 * GIB) == 300 + 6000


def test_only_a_server_that_gets_nowhere_is_too_slow(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.pace._WINDOW", 10)
    monkeypatch.setattr("client_delivery.transfer.pace._SLOWEST", 100)
    pace = Pace()
    assert not pace.too_slow(9, 0)
    assert not pace.too_slow(1, 1000)
    assert not pace.too_slow(9, 0)
    assert pace.too_slow(1, 999)


@pytest.mark.parametrize("name", [".ssh/authorized_keys", "a/.ssh/rc", ".bashrc", ".PROFILE", "sub/.zshenv"])
@pytest.mark.parametrize("directory", [".", "in", "/home/acme"])
def test_r6_8_no_name_changes_how_the_account_works(directory, name):
    with pytest.raises(UnsafeName, match="does not begin with"):
        remote_path(directory, name)
    assert remote_path(".", ".shipping.csv") == ".shipping.csv"


@pytest.mark.parametrize(
    "options",
    [
        {"appear": "staging"},
        {"staging_directory": "staging"},
        {"appear": "staging", "staging_directory": "in"},
        {"temporary_prefix": "a/b"},
    ],
)
def test_r2_3_settings_that_do_not_fit_are_refused(options):
    with pytest.raises(ValidationError):
        destination(**options)
