"""Logins as servers ask for them, and refusals that name the step, what the server offers and what there is here."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading

import asyncssh
import paramiko
import pytest

from client_delivery.config.model import SftpSection
from client_delivery.runtime.backoff import Backoff
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.secret import Secret
from client_delivery.transfer.sftp.connection import SftpConnection
from tests.support.habits import HabitServer, PasswordLogin

PASSWORD = HabitServer.password


def config_for(server, **options):
    return SftpSection(
        type="sftp",
        host=server.server.host,
        port=server.server.port,
        username="client",
        directory="in",
        connection_id="acme_sftp",
        host_keys=(server.server.host_key,),
        **options,
    )


def log_in(server, secret=None, **options):
    connection = SftpConnection(config_for(server, **options), secret or Secret("acme_sftp", password=PASSWORD))
    connection.close()


class Asks(asyncssh.SSHServer):
    """Asks for the password by keyboard-interactive, and for ``more`` behind it."""

    more: tuple[str, ...] = ()

    def password_auth_supported(self):
        return False

    def kbdint_auth_supported(self):
        return True

    def get_kbdint_challenge(self, username, lang, submethods):
        self._asked = 0
        return "Login", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username, responses):
        self._asked += 1
        if self._asked == 1:
            if responses != [PASSWORD]:
                return False
            return ("Login", "", "", [(self.more[0], False)]) if self.more else True
        return False


def test_a_password_that_is_asked_for_interactively(tmp_path):
    with HabitServer(tmp_path, login=Asks) as server:
        log_in(server)


def test_a_second_question_is_named_and_not_responded_to(tmp_path):
    with (
        HabitServer(tmp_path, login=type("Otp", (Asks,), {"more": ("One-time code: ",)})) as server,
        pytest.raises(DestinationUnavailable) as refused,
    ):
        log_in(server)
    message = str(refused.value)
    assert "It asked 'One-time code: ', which needs a person to answer" in message
    assert "The server offers keyboard-interactive" in message
    assert PASSWORD not in message


def keys():
    key = asyncssh.generate_private_key("ssh-ed25519")
    return key, key.export_private_key().decode()


def login_by(*keys, password=None):
    class Login(asyncssh.SSHServer):
        def connection_made(self, conn):
            self._conn = conn

        def public_key_auth_supported(self):
            return True

        def validate_public_key(self, username, key):
            return any(key == one.convert_to_public() for one in keys)

        def password_auth_supported(self):
            return password is not None

        def validate_password(self, username, given):
            return given == password

    return Login


def test_a_key_that_is_refused_is_said_so_and_the_password_beside_it_is_not_sent(tmp_path):
    """It may be the key's passphrase."""
    known, _ = keys()
    _, unknown = keys()
    seen = []

    class Login(login_by(known, password=PASSWORD)):
        def validate_password(self, username, given):
            seen.append(given)
            return True

    secret = Secret("acme_sftp", password=PASSWORD, extra={"private_key": unknown})
    with HabitServer(tmp_path, login=Login) as server, pytest.raises(DestinationUnavailable) as refused:
        log_in(server, secret)
    assert "refuses the login of 'client' by publickey. The server offers password, publickey" in str(refused.value)
    assert "holds a private key and a password" in str(refused.value)
    assert seen == []


@pytest.fixture
def wants_both():
    """paramiko: the key is a partial success (RFC 4252, section 5.1), and only behind it a password is asked for.

    Yields its port, its host key, the client's private key, and what was shown to it.
    """
    host_key, client_key = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
    text, shown = io.StringIO(), []
    client_key.write_private_key(text)

    class Login(paramiko.ServerInterface):
        def get_allowed_auths(self, username):
            return "password" if "key" in shown else "publickey"

        def check_auth_publickey(self, username, key):
            if key.asbytes() != client_key.asbytes():
                return paramiko.AUTH_FAILED
            shown.append("key")
            return paramiko.AUTH_PARTIALLY_SUCCESSFUL

        def check_auth_password(self, username, given):
            shown.append("password")
            return paramiko.AUTH_SUCCESSFUL if given == PASSWORD else paramiko.AUTH_FAILED

        def check_channel_request(self, kind, number):
            return paramiko.OPEN_SUCCEEDED

    listening, opened = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                transport = paramiko.Transport(listening.accept()[0])
                opened.append(transport)
                transport.add_server_key(host_key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=Login())

    threading.Thread(target=serve, daemon=True).start()
    shown_key = f"{host_key.get_name()} {host_key.get_base64()}"
    yield listening.getsockname()[1], shown_key, text.getvalue(), shown
    listening.close()
    for transport in opened:
        transport.close()


def log_in_with_both(wants_both, password):
    port, host_key, private_key, _ = wants_both
    config = SftpSection(
        type="sftp",
        host="127.0.0.1",
        port=port,
        username="client",
        directory="in",
        connection_id="acme_sftp",
        host_keys=(host_key,),
    )
    SftpConnection(config, Secret("acme_sftp", password=password, extra={"private_key": private_key})).close()


def test_a_server_that_wants_the_key_and_then_the_password(wants_both):
    log_in_with_both(wants_both, PASSWORD)
    shown = wants_both[-1]
    assert shown[-1] == "password"
    assert set(shown) == {"key", "password"}
    assert shown.count("password") == 1


def test_a_server_that_wants_more_than_the_key_says_what(wants_both):
    with pytest.raises(DestinationUnavailable) as refused:
        log_in_with_both(wants_both, None)
    assert "The server offers password" in str(refused.value)
    assert "It accepted publickey and asks for more" in str(refused.value)


def test_a_wrong_password_is_offered_once(tmp_path):
    seen = []

    class Login(PasswordLogin):
        def __init__(self):
            super().__init__(PASSWORD)

        def kbdint_auth_supported(self):
            return True

        def validate_password(self, username, password):
            seen.append(password)
            return False

    secret = Secret("acme_sftp", password="wrong")
    with HabitServer(tmp_path, login=Login) as server, pytest.raises(DestinationUnavailable) as refused:
        log_in(server, secret)
    assert seen == ["wrong"]
    assert "refuses the login of 'client' by password" in str(refused.value)
    assert "may have expired or been changed" in str(refused.value)


def test_a_server_that_wants_what_is_not_there_says_what_it_wants(tmp_path):
    known, _ = keys()
    with HabitServer(tmp_path, login=login_by(known)) as server, pytest.raises(DestinationUnavailable) as refused:
        log_in(server)
    assert "The server offers publickey; the Airflow connection 'acme_sftp' holds a password." in str(refused.value)
    assert "may have expired" not in str(refused.value)


def test_a_login_that_takes_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.connection._CONNECT_SECONDS", 2)

    class Slow(PasswordLogin):
        def __init__(self):
            super().__init__(PASSWORD)

        async def validate_password(self, username, password):
            await asyncio.sleep(4)
            return password == PASSWORD

    with HabitServer(tmp_path, login=Slow) as server:
        log_in(server)


def test_a_login_without_end_is_not_blamed_on_the_credential(tmp_path, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.connection._LOGIN_SECONDS", 2)

    class Never(PasswordLogin):
        def __init__(self):
            super().__init__(PASSWORD)

        async def validate_password(self, username, password):
            await asyncio.sleep(3600)

    with HabitServer(tmp_path, login=Never) as server, pytest.raises(DestinationUnavailable) as refused:
        log_in(server)
    assert "did not finish the login of 'client', step password: it did not respond in time" in str(refused.value)
    assert "This says nothing about the credential" in str(refused.value)


@pytest.mark.parametrize(
    "old",
    [
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes256-ctr"]},
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"encryption_algs": ["aes128-cbc"], "mac_algs": ["hmac-sha2-256"]},
    ],
)
def test_old_algorithms_only_where_they_are_allowed(tmp_path, old):
    with HabitServer(tmp_path, **old) as server:
        with pytest.raises(DestinationUnavailable, match="does not agree on a secure connection") as refused:
            log_in(server)
        assert next(iter(old.values()))[0] in str(refused.value)
        log_in(server, allow_weak_algorithms=True)


def test_the_first_connection_may_break_before_its_banner(servers, tmp_path, monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.sftp.pool._BACKOFF", Backoff(0.1, 0.1))
    with HabitServer(tmp_path / "server") as server, socket.create_server(("127.0.0.1", 0)) as front:
        refused = []

        def balance():
            while True:
                try:
                    incoming, _ = front.accept()
                except OSError:
                    return
                if not refused:
                    refused.append(1)
                    incoming.close()
                    continue
                behind = socket.create_connection(("127.0.0.1", server.server.port))
                for one, other in ((incoming, behind), (behind, incoming)):
                    threading.Thread(target=pump, args=(one, other), daemon=True).start()

        threading.Thread(target=balance, daemon=True).start()
        with servers.open("sftp", server.server, port=front.getsockname()[1]):
            pass
    assert refused == [1]


def pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for end in (one, other):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
