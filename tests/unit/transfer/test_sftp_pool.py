"""Connections to one server: as many as it allows, and who waits for one learns what became of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.sftp.connection import Unreached
from client_delivery.transfer.sftp.pool import ConnectionPool


class Session:
    lost = False


class Connection:
    def __init__(self) -> None:
        self.sftp = Session()
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Server:
    """Connects, or raises what it is told to, in turn."""

    def __init__(self, *turns: Exception | None) -> None:
        self.opened: list[Connection] = []
        self.asked = 0
        self._turns = list(turns)

    def __call__(self) -> Connection:
        self.asked += 1
        turn = self._turns.pop(0) if self._turns else None
        if turn is not None:
            raise turn
        self.opened.append(Connection())
        return self.opened[-1]


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    slept = []
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", slept.append)
    return slept


def test_a_server_that_allows_fewer_connections_is_not_asked_for_more():
    server = Server(None, DestinationUnavailable("too many connections"))
    pool = ConnectionPool(server, 4)
    with pool.session() as one, pool.session() as other, pool.session() as third:
        assert one is other is third
    assert server.asked == 2
    pool.close()
    assert server.opened[0].closed


def test_a_first_connection_that_breaks_is_tried_again(pauses):
    server = Server(Unreached("reset"), Unreached("reset"))
    with ConnectionPool(server, 4).session() as session:
        assert session is server.opened[0].sftp
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize(("error", "tries"), [(Unreached, 3), (DestinationUnavailable, 1)])
def test_what_cannot_be_had_is_told_and_a_refused_login_is_not_repeated(error, tries):
    server = Server(*[error("no")] * 5)
    with pytest.raises(error, match="no"), ConnectionPool(server, 4).session():
        pass
    assert server.asked == tries


def test_who_waited_for_a_connection_that_failed_does_not_try_for_itself():
    """Otherwise each of sixteen files would offer a refused password once more, and lock the account."""
    waiting, asked = threading.Event(), []

    def connect():
        asked.append(1)
        assert waiting.wait(10), "the other one waits for this connection"
        raise DestinationUnavailable("refuses the login")

    pool = ConnectionPool(connect, 1)
    wait = pool._changed.wait

    def noted(seconds):
        waiting.set()
        return wait(seconds)

    pool._changed.wait = noted  # the moment at which it waits, which nothing else tells

    def use():
        with pool.session():
            pass

    with ThreadPoolExecutor(2) as pair:
        outcomes = [pair.submit(use) for _ in range(2)]
    assert [str(one.exception()) for one in outcomes] == ["refuses the login"] * 2
    assert len(asked) == 1


def test_a_lost_connection_is_closed_when_nobody_uses_it_and_replaced():
    server = Server()
    pool = ConnectionPool(server, 1)
    with pool.session(), pool.session():
        server.opened[0].sftp.lost = True
    assert server.opened[0].closed
    with pool.session() as fresh:
        assert fresh is server.opened[1].sftp
