"""From the login to SFTP, and host keys that nobody shows: libssh in another's place, the socket a real one."""

from __future__ import annotations

import base64
import socket

import pytest
from ssh.exceptions import ConnectFailed, RequestFailure

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp import connection as connection_module
from client_delivery.transfer.sftp import host_key_scan
from client_delivery.transfer.sftp.connection import SftpConnection, Unreached
from tests.unit.transfer.sftp_kit import SECRET, section
from tests.unit.transfer.sftp_server import HOST_KEY
from tests.unit.transfer.sftp_wire import FakeSsh, framed, status


class Key:
    def export_pubkey_base64(self):
        return HOST_KEY.split()[1].encode()


class Libssh(FakeSsh):
    """A session that lets anybody in, and its channel."""

    def __init__(self, *, greeting: bytes | None = None, shakes: Exception | None = None, **more: object) -> None:
        super().__init__(lambda kind, payload: None, greeting)
        self.shakes, self.banner, self.reason = shakes, more.get("banner"), more.get("reason")
        self.refuses = more.get("refuses")
        self.disconnected = False

    def connect(self):
        if self.shakes is not None:
            raise self.shakes

    def get_error(self):
        return self.reason

    def get_serverbanner(self):
        return self.banner

    def get_kex_algo(self):
        return b"curve25519-sha256"

    get_cipher_out = get_hmac_out = get_kex_algo

    def get_server_publickey(self):
        return Key()

    def options_set_int_val(self, option, value):
        pass

    def userauth_none(self):
        return 0

    def channel_new(self):
        return self

    def open_session(self):
        pass

    def request_sftp(self):
        if self.refuses is not None:
            raise self.refuses

    def disconnect(self):
        self.disconnected = True


@pytest.fixture
def far():
    """The other end, as a listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


def use(monkeypatch, session):
    for module in (connection_module, host_key_scan):
        monkeypatch.setattr(module, "prepared_session", lambda *_, **__: session)


def connect(far):
    return SftpConnection(section(host="127.0.0.1", port=far.getsockname()[1]), SECRET)


def is_closed(far) -> bool:
    """Whether our end of the connection is."""
    accepted, _ = far.accept()
    with accepted:
        accepted.settimeout(10)
        return accepted.recv(1) == b""


def test_a_connection_is_one_with_its_banner(monkeypatch, far):
    session = Libssh(banner=b"SSH-2.0-Acme_1.0\r\n")
    use(monkeypatch, session)
    connection = connect(far)
    assert connection.banner == "Acme_1.0"
    connection.close()
    assert session.disconnected
    assert is_closed(far)


@pytest.mark.parametrize("refused", [RequestFailure("subsystem request failed"), OSError("subsystem request failed")])
def test_an_account_without_sftp_is_said_so_and_the_socket_closed(monkeypatch, far, refused):
    use(monkeypatch, Libssh(refuses=refused))
    with pytest.raises(DestinationUnavailable, match="accepts the login but offers no SFTP: subsystem request failed"):
        connect(far)
    assert is_closed(far)


def test_what_greets_as_something_else_offers_no_sftp_and_the_socket_is_closed(monkeypatch, far):
    session = Libssh(greeting=framed(*status(0)))
    use(monkeypatch, session)
    with pytest.raises(
        DestinationUnavailable, match="offers no SFTP: the server did not respond with its SFTP version"
    ):
        connect(far)
    assert session.disconnected
    assert is_closed(far)


def test_a_shell_that_talks_before_sftp_offers_none(monkeypatch, far):
    """A line in a login script; OpenSSH's manual warns of it."""
    use(monkeypatch, Libssh(greeting=b"Welcome to Acme!\n"))
    with pytest.raises(DestinationUnavailable, match=r"offers no SFTP: .* which is not SFTP"):
        connect(far)
    assert is_closed(far)


SILENT = {"shakes": ConnectFailed(), "reason": b"Timeout connecting to 127.0.0.1"}
BROKEN = {"shakes": ConnectFailed(), "reason": b"Connection reset by peer"}


@pytest.mark.parametrize(
    ("how", "why"),
    [(SILENT, "says nothing within"), (BROKEN, "broke the connection off before")],
    ids=["silent", "cut"],
)
def test_who_shows_no_key_is_told_by_what_they_did(monkeypatch, far, how, why):
    use(monkeypatch, Libssh(**how))
    with pytest.raises(Unreached, match=why):
        host_key_scan.scan("127.0.0.1", far.getsockname()[1], ["ssh-ed25519"])
    with pytest.raises(Unreached, match=why):
        connect(far)


def test_a_type_that_the_server_has_no_key_of_is_passed_over(monkeypatch, far):
    sessions = [
        Libssh(shakes=ConnectFailed(), reason="kex error : no match for method server host key algo"),
        Libssh(banner="SSH-2.0-Acme_1.0"),
        Libssh(shakes=ConnectFailed(), reason="Connection reset by peer", banner="SSH-2.0-Acme_1.0"),
    ]
    monkeypatch.setattr(host_key_scan, "prepared_session", lambda *_, **__: sessions.pop(0))
    found = host_key_scan.scan("127.0.0.1", far.getsockname()[1], ["ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256"])
    assert found == ("Acme_1.0", [HOST_KEY])
    assert base64.b64decode(found.keys[0].split()[1])[4:15] == b"ssh-ed25519"
