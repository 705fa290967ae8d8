"""A message to a channel, sent once: what is certain about it, and what a try more may cost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from client_delivery.config.notify import NotifyRule
from client_delivery.notify.sending import NotificationError
from client_delivery.run.channels import over_http, sending
from client_delivery.run.channels.attempt import Address, Lost, NotNow
from client_delivery.runtime import backoff
from tests.unit.notify.test_notify_channels import of_job

KEY = "whsec_" + "QUJD" * 10


def rule(via: str = "webhook") -> NotifyRule:
    return NotifyRule.model_validate({"on": ["failed"], "via": via, "connection_id": "chat"})


class Hooks:
    """The connection of a rule."""

    def __init__(self, host: str, password: str = KEY, session: Any = None) -> None:
        self._address, self._session = Address(password, host), session
        self.sessions = 0

    def address(self, rule: NotifyRule) -> Address:
        return self._address

    def session(self, rule: NotifyRule) -> Any:
        self.sessions += 1
        return self._session or requests.Session()

    def aws(self, *args: Any) -> Any:
        raise AssertionError("no AWS")


@pytest.fixture
def server() -> Iterator[Callable[[bytes], str]]:
    """``server(b"HTTP/1.1 …")`` is the address of one that reads a request and sends that back, then closes."""
    opened: list[socket.socket] = []
    requests_: list[bytes] = []

    def make(response: bytes) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        opened.append(listening)

        def serve() -> None:
            try:
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        requests_.append(_request(connection))
                        connection.sendall(response)
            except OSError:
                pass  # the test is over

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/hook"

    make.requests = requests_  # type: ignore[attr-defined]
    yield make
    for one in opened:
        one.shutdown(socket.SHUT_RDWR)
        one.close()


def _request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := connection.recv(65536)):
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(lines[b"content-length"]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def status(number: int) -> bytes:
    return f"HTTP/1.1 {number} Said\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_webhook_is_sent_signed_and_follows_no_redirect(server):
    over_http.attempt(rule(), of_job(), 5, Hooks(server(status(204))))
    (sent,) = server.requests
    assert b"webhook-signature: v1," in sent.lower()
    with pytest.raises(NotificationError, match="responded with 302; check the connection's address and key"):
        over_http.attempt(rule(), of_job(), 5, Hooks(server(status(302))))


def test_pagerduty_gets_the_connections_key_in_the_body_and_nowhere_else(server):
    over_http.attempt(rule("pagerduty"), of_job(), 5, Hooks(server(status(202)), "R0UTINGKEY"))
    (sent,) = server.requests
    head, _, body = sent.partition(b"\r\n\r\n")
    assert json.loads(body)["routing_key"] == "R0UTINGKEY"
    assert b"R0UTINGKEY" not in head


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        (status(429), NotNow, "it responded with 429"),
        (status(503), NotNow, "it responded with 503"),
        (status(500), Lost, "it responded with 500"),
        (b"", Lost, "the connection broke"),
        (b"what?\r\n\r\n", Lost, "the connection broke"),
        (status(403), NotificationError, "it responded with 403; check the connection's address and key"),
    ],
    ids=["too many", "unavailable", "failed", "nothing", "no HTTP", "refused"],
)
def test_what_a_response_says_of_the_message(server, response, error, said):
    with pytest.raises(error, match=said):
        over_http.attempt(rule(), of_job(), 5, Hooks(server(response)))


def test_a_server_that_never_comes_to_the_end_of_its_response_is_left():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(Lost, match=r"no response \(ReadTimeout\)"):
            over_http.attempt(rule(), of_job(), 0.2, Hooks(address))


def test_bytes_that_drip_do_not_make_it_wait_for_ever(monkeypatch):
    """``requests`` counts from piece to piece."""
    released = threading.Event()
    dripping = Session(lambda: released.wait(10))
    with pytest.raises(Lost, match="no response in time"):
        over_http.attempt(rule(), of_job(), -0.9, Hooks("https://hooks.example.org", session=dripping))
    released.set()


class Session:
    """A session whose requests end as a test says."""

    def __init__(self, ends: Callable[[], object]) -> None:
        self._ends = ends

    def post(self, *args: Any, **options: Any) -> Any:
        self._ends()
        raise AssertionError("it ended in nothing")

    def close(self) -> None:
        pass


def raising(error: Exception) -> Session:
    def fails() -> None:
        raise error

    return Session(fails)


def test_a_connection_that_was_refused_or_came_too_late_has_brought_nothing():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"http://127.0.0.1:{gone.getsockname()[1]}/"
    with pytest.raises(NotNow, match="no connection"):
        over_http.attempt(rule(), of_job(), 5, Hooks(address))
    late = raising(requests.exceptions.ConnectTimeout("https://hooks.example.org/s3cret"))
    with pytest.raises(NotNow, match="no connection in time"):
        over_http.attempt(rule(), of_job(), 5, Hooks("https://hooks.example.org", session=late))


def test_a_server_without_a_certificate_that_is_accepted_gets_nothing():
    refused = raising(requests.exceptions.SSLError("certificate verify failed: https://hooks.example.org/s3cret"))
    with pytest.raises(NotificationError, match="its certificate is not accepted") as told:
        over_http.attempt(rule(), of_job(), 5, Hooks("https://hooks.example.org/s3cret", session=refused))
    assert (told.value.unknown, "s3cret" in str(told.value)) == ((), False)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("http://hooks.example.org/s3cret", "no address that begins with https://"),
        ("hooks.example.org/s3cret", "no address that begins with https://"),
        ("https://[s3cret", "no address that begins with https://"),
        ("https://:443/s3cret", "an address or a header that cannot be used"),
        ("https://hooks.example.org:s3cret/", "an address or a header that cannot be used"),
    ],
)
@pytest.mark.parametrize("via", ["webhook", "teams"])
def test_an_address_that_is_none_is_said_and_not_shown(host, said, via):
    """Nothing was sent, so it must not count as perhaps sent: then no later run would send it to a chat."""
    address = Hooks(host) if via == "webhook" else Hooks("", host)
    with pytest.raises(NotificationError, match=said) as told:
        over_http.attempt(rule(via), of_job(), 5, address)
    assert "s3cret" not in str(told.value)
    assert told.value.unknown == ()


def test_a_webhook_whose_key_signs_nothing_is_not_sent(server):
    with pytest.raises(NotificationError, match="no signing key: expected whsec_"):
        over_http.attempt(rule(), of_job(), 5, Hooks(server(status(200)), "hunter2"))
    assert server.requests == []


class Waiting:
    """The clock and the pauses of a sending."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.pauses = 0.0, list[float]()
        monkeypatch.setattr(backoff, "clock", lambda: self.now)
        monkeypatch.setattr(backoff, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.mark.parametrize(
    ("via", "number", "seconds", "tries", "unknown"),
    [
        ("webhook", 503, 30, 3, False),
        ("webhook", 503, 2, 1, False),
        ("webhook", 500, 30, 3, True),
        ("teams", 503, 30, 3, False),
        ("teams", 500, 30, 1, True),
    ],
    ids=["three tries", "no time for two", "known by its id", "a chat", "a chat may have it"],
)
def test_a_message_is_tried_again_only_where_it_cannot_come_twice(
    server, monkeypatch, via, number, seconds, tries, unknown
):
    waiting, to = Waiting(monkeypatch), rule(via)
    hooks = Hooks(server(status(number))) if via == "webhook" else Hooks("", server(status(number)))
    with pytest.raises(NotificationError, match=f"responded with {number}") as told:
        sending.send(to, of_job(), seconds, hooks)
    assert (hooks.sessions, len(waiting.pauses)) == (tries, tries - 1)
    assert told.value.unknown == ((to.key,) if unknown else ())
