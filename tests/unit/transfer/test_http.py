"""HTTP as the engine speaks it, against a server whose every byte is scripted."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from client_delivery.transfer.http.connection import Request
from client_delivery.transfer.http.pool import BrokenOff, HttpPool, Unreachable, error_code

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """Answers the nth request on the nth line of the script; None closes without an answer."""

    def __init__(self, *script: bytes | None, close_after: int | None = None) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = list(script)
        self._close_after = close_after
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/b/k"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while self._script:
            connection, _ = self._server.accept()
            self.connections += 1
            with connection, contextlib.suppress(OSError):  # the client may hang up while it is answered
                while self._script and self._answer(connection):
                    pass

    def _answer(self, connection: socket.socket) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                return False
            head += byte
        length = next(
            (int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")), 0
        )
        body = b""
        while len(body) < length:
            body += connection.recv(length - len(body))
        self.requests.append(head + body)
        answer = self._script.pop(0)
        if answer is None:
            return False
        connection.sendall(answer)
        if self._close_after == len(self.requests):
            return False
        return b"truncated" not in answer


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", lambda seconds: None)


def get(pool: HttpPool, server: Scripted) -> bytes:
    with pool.exchange(lambda: Request("GET", server.url)) as answer:
        return answer.read()


def test_a_connection_is_used_again_when_its_answer_was_read():
    server, pool = Scripted(OK, OK, OK), HttpPool()
    assert [get(pool, server) for _ in range(3)] == [b"ok"] * 3
    assert server.connections == 1
    assert server.requests[0].startswith(b"GET /b/k HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_short_rest_of_an_answer_is_read_and_a_long_one_is_cut():
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + bytes(50000)
    server, pool = Scripted(OK, long, OK), HttpPool()
    for _ in range(3):
        pool.exchange(lambda: Request("GET", server.url)).close()
    assert server.connections == 2


def test_a_connection_that_was_closed_while_idle_is_replaced():
    server, pool = Scripted(OK, OK, close_after=1), HttpPool()
    assert get(pool, server) == b"ok"
    with pool.exchange(lambda: Request("GET", server.url)) as answer:
        assert answer.read() == b"ok"
    assert server.connections == 2


def test_an_answer_in_chunks_is_put_together():
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
    server, pool = Scripted(chunked, OK), HttpPool()
    assert get(pool, server) == b"abcde"
    assert get(pool, server) == b"ok"
    assert server.connections == 1


def test_interim_answers_are_passed_over():
    server = Scripted(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert get(HttpPool(), server) == b"ok"


def test_a_body_that_ends_early_is_noticed():
    server = Scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\ntruncated")
    with pytest.raises(BrokenOff, match="11 bytes early"):
        get(HttpPool(), server)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "does not say where it ends"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 3 + b"X-" + b"y" * 20_000 + b"\r\n\r\n", "line that is too long"),
        (b"HTTP/1.1 200 OK\r\n" + b"".join(b"H%d: 1\r\n" % n for n in range(300)) + b"\r\n", "too many headers"),
        (None, "closed"),
    ],
)
def test_what_is_no_answer_is_unreachable_after_all_tries(answer, reason):
    server = Scripted(*[answer] * 6, close_after=None if answer else 0)
    with pytest.raises(Unreachable, match=reason):
        get(HttpPool(), server)


def test_passing_trouble_is_tried_again_with_a_new_request_each_time():
    busy = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
    server, built = Scripted(busy, busy, OK), []

    def build() -> Request:
        built.append(len(built))
        return Request("PUT", server.url, {"X-Try": str(len(built))}, b"body")

    with HttpPool().exchange(build) as answer:
        assert (answer.status, answer.repeated) == (200, True)
    assert [request.split(b"X-Try: ")[1][:1] for request in server.requests] == [b"1", b"2", b"3"]
    assert all(request.endswith(b"body") for request in server.requests)


def test_a_refusal_is_not_tried_again_and_its_code_is_told():
    body = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    server = Scripted(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    with HttpPool().exchange(lambda: Request("GET", server.url)) as answer:
        assert (answer.status, error_code(answer)) == (403, ("AccessDenied", "no"))
    assert len(server.requests) == 1


def test_a_line_break_in_a_header_is_never_sent():
    server = Scripted(OK)
    with pytest.raises(ValueError, match="line break"):
        HttpPool().send(Request("GET", server.url, {"X": "a\r\nEvil: 1"}))
    assert server.requests == []


def test_bodies_are_iterated_anew_for_every_try():
    class Body:
        def __init__(self) -> None:
            self.times = 0

        def __len__(self) -> int:
            return 6

        def __iter__(self) -> Iterator[bytes]:
            self.times += 1
            yield b"abc"
            yield b"def"

    body = Body()
    server = Scripted(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", OK)
    HttpPool().exchange(lambda: Request("PUT", server.url, {}, body)).close()
    assert body.times == 2
    assert [request[-6:] for request in server.requests] == [b"abcdef"] * 2


def failure(status: int, code: str) -> bytes:
    body = f"<Error><Code>{code}</Code><Message>why</Message><Details>the details</Details></Error>".encode()
    return f"HTTP/1.1 {status} Error\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("status", "code"), [(400, "RequestTimeout"), (409, "ConditionalRequestConflict"), (409, "OperationAborted")]
)
def test_codes_of_s3_that_pass_are_tried_again_whatever_their_status(status, code):
    server, pool = Scripted(failure(status, code), OK), HttpPool()
    assert get(pool, server) == b"ok"


@pytest.mark.parametrize(
    ("status", "code"), [(400, "InvalidRequest"), (409, "BucketNotEmpty"), (403, "RequestTimeout")]
)
def test_other_codes_are_not_and_keep_the_services_own_reason(status, code):
    server, pool = Scripted(failure(status, code), OK), HttpPool()
    with pool.exchange(lambda: Request("GET", server.url)) as answer:
        assert (answer.status, error_code(answer)) == (status, (code, "why the details"))
        assert error_code(answer) == (code, "why the details"), "the body can be read once only"
    assert len(server.requests) == 1


def test_a_request_may_wait_longer_than_the_connection_did_before():
    server, pool = Scripted(OK, OK, OK), HttpPool()
    waited = []
    for patience in (60, 900, 60):
        with pool.exchange(lambda patience=patience: Request("GET", server.url, patience=patience)) as answer:
            sock = answer._connection.sock
            seconds = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
            waited.append(int.from_bytes(seconds[:8], "little"))
            answer.read()
    assert (waited, server.connections) == ([60, 900, 60], 1)


def dripping(head: bytes, drop: bytes) -> str:
    """A server that sends ``head`` and then ``drop`` again and again; returns its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(head)
            while True:
                connection.sendall(drop)
                time.sleep(0.05)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/b/k"


def test_a_body_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.pace._WINDOW", 0.5)
    url = dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x")
    with HttpPool().send(Request("GET", url)) as answer, pytest.raises(BrokenOff, match="less than a KiB in a second"):
        answer.readinto(memoryview(bytearray(20)))


def test_a_head_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.http.connection._SILENCE_SECONDS", -0.5)
    url = dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")
    with pytest.raises(Unreachable, match="does not end"):
        HttpPool().send(Request("GET", url, patience=1))


def test_blanks_before_an_answer_are_waited_for_but_not_for_ever(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.http.connection._LONGEST_WORK", 0.5)
    url = dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n")
    with HttpPool().send(Request("POST", url)) as answer, pytest.raises(BrokenOff, match="does not end"):
        answer.read()
