"""TLS as the engine speaks it, against a server of the standard library."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from client_delivery.transfer.http.connection import Request
from client_delivery.transfer.http.pool import BrokenOff, HttpPool, Unreachable
from local.certificate import server_certificate

BIG = os.urandom(5 * 1024**2 + 7)

Talk = Callable[[ssl.SSLSocket], None]


class Server:
    """Accepts one connection after the other, and lets ``talk`` deal with each."""

    def __init__(self, pem: str, talk: Talk, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._context.maximum_version = newest
        self._talk = talk
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.connections = 0
        self.refusals: list[str] = []
        """What the clients that went away had to say."""
        self.closed = threading.Event()
        """One of the connections is closed."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            # A response that waits for the session tickets' acknowledgement is lost with the connection.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._connected, args=(connection,), daemon=True).start()

    def _connected(self, connection: socket.socket) -> None:
        try:
            with self._context.wrap_socket(connection, server_side=True) as wrapped:
                self._talk(wrapped)
        except (OSError, ssl.SSLError) as error:
            self.refusals.append(str(error))
        finally:
            connection.close()
            self.closed.set()


def head_of(connection: ssl.SSLSocket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionResetError
        head += byte
    return head


def answers(connection: ssl.SSLSocket) -> None:
    """Gives BIG to who gets, and the digest to who puts."""
    while True:
        head = head_of(connection)
        if head.startswith(b"GET"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BIG) + BIG)
            continue
        digest, left = hashlib.sha256(), int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
        while left:
            piece = connection.recv(min(left, 100_000))
            digest.update(piece)
            left -= len(piece)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + digest.hexdigest().encode())


@pytest.fixture
def trusted(tmp_path, monkeypatch) -> Iterator[str]:
    """The server's certificate and key; clients trust it."""
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", lambda seconds: None)
    monkeypatch.setenv("SSL_CERT_FILE", str(server_certificate(tmp_path)))
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    return str(tmp_path / "server.pem")


def got(pool: HttpPool, host: str) -> bytes:
    with pool.exchange(lambda: Request("GET", f"https://{host}/big")) as response:
        return response.read()


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_r6_5_what_comes_and_what_goes_is_whole_on_one_connection(trusted, newest):
    server, pool = Server(trusted, answers, newest=newest), HttpPool()
    put = Request("PUT", f"https://{server.host}/k", body=BIG)
    for _ in range(2):
        assert got(pool, server.host) == BIG
        with pool.exchange(lambda: put) as response:
            assert response.read().decode() == hashlib.sha256(BIG).hexdigest()
    pool.close()
    assert server.connections == 1


def test_a_certificate_that_nobody_vouches_for_is_refused_and_the_server_told(trusted, tmp_path, monkeypatch):
    server = Server(trusted, answers)
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(server_certificate(tmp_path / "other")))
    with pytest.raises(Unreachable, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        got(HttpPool(), server.host)
    assert any("unknown ca" in one.lower().replace("_", " ") for one in server.refusals)


def test_a_certificate_of_another_host_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", lambda seconds: None)
    monkeypatch.setenv("SSL_CERT_FILE", str(server_certificate(tmp_path, address="127.0.0.9")))
    server = Server(str(tmp_path / "server.pem"), answers)
    with pytest.raises(Unreachable, match="IP address mismatch"):
        got(HttpPool(), server.host)
    assert got(HttpPool(), server.host.replace("127.0.0.1", "localhost")) == BIG


@pytest.mark.parametrize("farewell", [True, False])
def test_a_body_that_ends_early_is_said_to(trusted, farewell):
    def ends(connection: ssl.SSLSocket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
        if farewell:
            connection.unwrap()
        else:
            connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(BrokenOff, match=r"50000 bytes early|reset"):
        got(HttpPool(), Server(trusted, ends).host)


def test_a_server_that_falls_silent_counts_as_gone(trusted):
    over = threading.Event()

    def silent(connection: ssl.SSLSocket) -> None:
        head_of(connection)
        over.wait(60)

    try:
        with pytest.raises(Unreachable):
            HttpPool().send(Request("GET", f"https://{Server(trusted, silent).host}/k", patience=1))
    finally:
        over.set()


class WaitsForTheEnd:
    """A body whose second half is sent when the server has closed the connection."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __len__(self) -> int:
        return 400_000

    def __iter__(self) -> Iterator[bytes]:
        yield bytes(200_000)
        assert self._server.closed.wait(30)
        for _ in range(10):
            yield bytes(20_000)


def test_a_server_that_refuses_and_closes_in_the_middle_of_a_body_is_heard(trusted):
    def refuses(connection: ssl.SSLSocket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        connection.recv(1024)

    server = Server(trusted, refuses)
    with HttpPool().send(Request("PUT", f"https://{server.host}/k", body=WaitsForTheEnd(server))) as response:
        assert response.status == 403
    assert server.connections == 1


def test_a_connection_that_was_closed_while_it_was_idle_is_replaced(trusted):
    """Found out in the middle of the body: the server closed when the connection had been taken from the pool."""

    def answers_once(connection: ssl.SSLSocket) -> None:
        if server.connections > 1:
            answers(connection)
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server = Server(trusted, answers_once)
    pool = HttpPool()
    with pool.send(Request("GET", f"https://{server.host}/k")) as response:
        assert response.status == 200
    with pool.send(Request("PUT", f"https://{server.host}/k", body=WaitsForTheEnd(server))) as response:
        assert (response.status, response.repeated) == (200, True)
        assert response.read() == hashlib.sha256(bytes(400_000)).hexdigest().encode()
    assert server.connections == 2


def test_a_server_that_speaks_no_tls_is_an_error_and_not_a_hang(trusted):
    listener = socket.create_server(("127.0.0.1", 0))

    def plain() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    threading.Thread(target=plain, daemon=True).start()
    with pytest.raises(Unreachable, match=r"(?i)wrong.version|reset|record layer"):
        HttpPool().send(Request("GET", f"https://127.0.0.1:{listener.getsockname()[1]}/k"))


def test_it_goes_through_the_environments_proxy_to_the_right_name(trusted, monkeypatch):
    server = Server(trusted, answers)
    proxy = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        client, _ = proxy.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        asked.append(head.split(b"\r\n")[0])
        target = socket.create_connection(("127.0.0.1", int(server.host.split(":")[1])))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=copy, args=(target, client), daemon=True).start()
        copy(client, target)

    def copy(from_: socket.socket, to: socket.socket) -> None:
        while piece := from_.recv(65536):
            to.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
    port = server.host.split(":")[1]
    assert got(HttpPool(), f"localhost:{port}") == BIG
    assert [line.rpartition(b" ")[0] for line in asked] == [f"CONNECT localhost:{port}".encode()]
