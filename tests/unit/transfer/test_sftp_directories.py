"""Directories that a server takes away again, with the last file in them."""

from unittest.mock import Mock

import pytest

from client_delivery.config.model import SftpSection
from client_delivery.transfer.sftp.directory import RemoteDirectory
from client_delivery.transfer.sftp.packets import NO_SUCH_FILE, PERMISSION_DENIED, Attributes, SftpError

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG6Dg8vl5tkuekF/ib/KizHCYS9I0pIFq/8c50EsjTH9"
PATH = "in/2026-11/a.csv"


class Sftp:
    """The part of a session that makes and looks at directories."""

    def __init__(self):
        self.made = []

    def make_directory(self, path):
        self.made.append(path)

    def stat(self, path, *, follow=True):
        return Attributes(None, None)


@pytest.fixture
def directory():
    return RemoteDirectory(
        SftpSection(type="sftp", host="h", username="u", directory="in", connection_id="c", host_keys=[HOST_KEY])
    )


def vanished():
    raise SftpError(NO_SUCH_FILE, "No such file", "open")


@pytest.mark.parametrize("times", [1, 3])
def test_they_are_made_again_until_the_file_is_there(directory, times):
    sftp, act = Sftp(), Mock(side_effect=[SftpError(NO_SUCH_FILE, "No such file", "open")] * times + ["handle"])
    assert directory.within(sftp, PATH, act) == "handle"
    assert sftp.made == ["in/2026-11"] * (times + 1)


def test_of_two_senders_that_miss_the_same_directory_both_make_it_again(directory):
    sftp, outcomes = Sftp(), [vanished, lambda: "handle"]

    def act():
        if len(outcomes) == 2:
            directory.forget(PATH)  # another file's sender has found it out first
        return outcomes.pop(0)()

    assert directory.within(sftp, PATH, act) == "handle"
    assert sftp.made == ["in/2026-11"] * 2


def test_what_never_works_is_told_after_a_few_tries(directory):
    sftp = Sftp()
    with pytest.raises(SftpError, match="No such file"):
        directory.within(sftp, PATH, vanished)
    assert sftp.made == ["in/2026-11"] * 4


@pytest.mark.parametrize(
    ("path", "code"), [(PATH, PERMISSION_DENIED), ("in/a.csv", NO_SUCH_FILE)], ids=["another refusal", "no directory"]
)
def test_nothing_is_tried_again_where_no_directory_can_be_missing(directory, path, code):
    tries = []

    def act():
        tries.append(path)
        raise SftpError(code, "no", "open")

    with pytest.raises(SftpError):
        directory.within(Sftp(), path, act)
    assert len(tries) == 1
