"""HTTP connections that break in the middle, or were given back already: what was read counts, and once."""

from __future__ import annotations

import select

import pytest

from client_delivery.transfer.http.connection import Request
from client_delivery.transfer.http.pool import BrokenOff, HttpPool, Unreachable
from tests.unit.transfer.test_http import OK, Scripted, get

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Reset:
    """A socket whose peer is gone."""

    def recv_into(self, *_):
        raise ConnectionResetError(104, "Connection reset by peer")

    def close(self):
        pass


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr("client_delivery.runtime.backoff.sleep", lambda seconds: None)


def test_what_came_before_a_reset_is_handed_out_and_then_the_reset_is_told():
    server, buffer = Scripted(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\ntruncated"), memoryview(bytearray(20))
    with HttpPool().send(Request("GET", server.url)) as answer:
        connection = answer._connection
        while connection._end - connection._start < 9:  # the body may come after the head
            connection._end += connection.sock.recv_into(connection._view[connection._end :])
        connection.sock.close()
        connection.sock = Reset()
        assert answer.readinto(buffer) == 9
        assert bytes(buffer[:9]) == b"truncated"
        with pytest.raises(BrokenOff, match="Connection reset by peer"):
            answer.readinto(buffer)


@pytest.mark.parametrize("cut", [b"5\r\ntruncated"[:7], b"5", b"zz\r\n", b"5\r\nabcde\r\n"])
def test_a_chunk_that_is_cut_is_no_shorter_answer(cut):
    server = Scripted(CHUNKED + cut, close_after=1)
    with HttpPool().send(Request("POST", server.url)) as answer, pytest.raises(BrokenOff):
        answer.read()


def test_an_answer_in_chunks_is_never_taken_for_an_object():
    server = Scripted(CHUNKED + b"3\r\nabc\r\n0\r\n\r\n")
    with HttpPool().send(Request("GET", server.url)) as answer, pytest.raises(BrokenOff, match="has no length"):
        answer.readinto(memoryview(bytearray(3)))


def test_a_line_without_an_end_is_not_collected():
    server = Scripted(*[b"HTTP/1.1 200 OK\r\nX-" + b"y" * 100_000] * 6)
    with pytest.raises(Unreachable, match="line that is too long"):
        get(HttpPool(), server)


def test_an_answer_that_is_closed_twice_gives_its_connection_back_once():
    """Otherwise two requests would share it, and read each other's answers."""
    server, pool = Scripted(OK, OK, OK), HttpPool()
    with pool.send(Request("GET", server.url)) as answer:
        answer.read()
        answer.close()
    assert len(next(iter(pool._idle.values()))) == 1


def test_an_idle_connection_that_its_server_has_ended_is_not_tried(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.http.pool._SURELY_OPEN", 0.0)
    server, pool = Scripted(OK, OK, close_after=1), HttpPool()
    assert get(pool, server) == b"ok"
    [(_, connection)] = next(iter(pool._idle.values()))
    assert select.select([connection.sock], [], [], 10)[0], "the end has come"
    with pool.send(Request("PUT", server.url)) as answer:
        assert not answer.repeated, "nobody has to find out whether a first try took effect"
    assert connection.sock.fileno() == -1
    assert server.connections == 2


def test_an_idle_connection_that_is_open_is_used_however_long_it_was_idle(monkeypatch):
    monkeypatch.setattr("client_delivery.transfer.http.pool._SURELY_OPEN", 0.0)
    server, pool = Scripted(OK, OK), HttpPool()
    assert [get(pool, server), get(pool, server)] == [b"ok"] * 2
    assert server.connections == 1


def test_a_proxy_that_speaks_no_http_is_unreachable_and_no_crash(monkeypatch):
    proxy = Scripted(b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n")
    monkeypatch.setenv("https_proxy", proxy.url.removesuffix("/b/k"))
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(Unreachable, match=r"s3\.example\.org: SSH-2\.0"):
        HttpPool().send(Request("GET", "https://s3.example.org/bucket/key"))
    assert proxy.requests[0].startswith(b"CONNECT s3.example.org:443")
