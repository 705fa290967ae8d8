"""The SFTP wire, on a fake channel: packets, requests and responses (R6.6)."""

from __future__ import annotations

import struct
import threading
import time

import pytest

from client_delivery.transfer.sftp import channel as channel_module
from client_delivery.transfer.sftp.packets import (
    FAILURE,
    PERMISSION_DENIED,
    Attributes,
    ConnectionLost,
    Kind,
    attributes,
    mode_attributes,
    names,
    pairs,
    status_error,
    string,
)
from tests.unit.transfer.sftp_wire import FakeSsh, framed

EVERYTHING = 0x01 | 0x02 | 0x04 | 0x08 | 0x80000000
ALL_ATTRIBUTES = (
    struct.pack(">IQIIIIII", EVERYTHING, 7, 501, 20, 0o100640, 1, 2, 1) + string("vendor@example.org") + string("x")
)


# -- packets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (struct.pack(">I", 0), Attributes(None, None)),
        (struct.pack(">IQ", 0x01, 2**40), Attributes(2**40, None)),
        (struct.pack(">III", 0x02, 501, 20), Attributes(None, None)),
        (struct.pack(">II", 0x04, 0o100600), Attributes(None, 0o100600)),
        (ALL_ATTRIBUTES, Attributes(7, 0o100640, 2)),
    ],
)
def test_attributes_are_read_whatever_else_the_server_tells(body, found):
    assert attributes(body) == found


def test_a_listing_is_read_past_each_entrys_attributes():
    entries = string("a.csv") + string("-rw a.csv") + ALL_ATTRIBUTES + string(b"caf\xe9") + string("") + bytes(4)
    assert names(struct.pack(">I", 2) + entries) == ["a.csv", "caf\udce9"]


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (struct.pack(">I", PERMISSION_DENIED) + string("no") + string("en"), PERMISSION_DENIED, "no"),
        (struct.pack(">I", FAILURE), FAILURE, "SFTP status 4"),
        (struct.pack(">I", FAILURE) + string(b"\xff"), FAILURE, "\ufffd"),
    ],
)
def test_a_status_is_an_error_with_its_text(body, code, text):
    error = status_error(body, "write")
    assert error is not None
    assert (error.code, error.operation, str(error)) == (code, "write", text)


def test_success_is_no_error():
    assert status_error(struct.pack(">I", 0), "write") is None


def test_extensions_are_pairs_and_an_odd_one_out_is_left():
    assert list(pairs(string("a") + string("1") + string("b"))) == [(b"a", b"1")]
    assert list(pairs(string("a") + string("1") + b"\0")) == [(b"a", b"1")], "a byte that a server has behind them"


def test_permissions_are_sent_only_where_they_are_asked_for():
    assert mode_attributes(None) == bytes(4)
    assert mode_attributes(0o640) == struct.pack(">II", 0x04, 0o640)


# -- channel ---------------------------------------------------------------------------------------------------------


def echo(kind: int, payload: bytes) -> tuple[int, bytes]:
    return kind, payload


def test_responses_find_their_requests_in_any_order():
    with FakeSsh(echo).channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        asked = channel.ask_together([(Kind.STAT, string(str(number)), b"") for number in range(5)])
        found = {number: channel.response(request)[1] for number, request in reversed(list(enumerate(asked)))}
    assert found == {number: string(str(number)) for number in range(5)}


def test_a_packet_goes_out_in_pieces_where_the_window_is_small():
    ssh = FakeSsh(echo)
    ssh.window = 10
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        assert channel.response(channel.ask(Kind.WRITE, b"x" * 100)) == (Kind.WRITE, b"x" * 100)
    assert max(ssh.writes) == 10


def test_many_requests_share_a_packet_of_ssh():
    ssh = FakeSsh(echo)
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        ssh.writes.clear()
        channel.ask_together([(Kind.STAT, string("x"), b"")] * 20)
    assert len(ssh.writes) == 1


def test_a_response_that_comes_in_single_bytes_is_put_together():
    ssh = FakeSsh(lambda kind, payload: None)
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        request = channel.ask(Kind.STAT, b"")
        for byte in framed(Kind.STATUS, struct.pack(">I", request) + struct.pack(">I", 0)):
            ssh.say(bytes([byte]))
        assert channel.response(request) == (Kind.STATUS, bytes(4))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (framed(Kind.STATUS, struct.pack(">I", 4711)), "a response that nobody asked for"),
        (b"\x00\x00\x00\x01\x65", "a response that nobody asked for"),
        (b"SSH-2.0 banner", "which is not SFTP"),
        (bytes(4), "which is not SFTP"),
    ],
)
def test_what_is_no_response_ends_the_connection(said, why):
    ssh = FakeSsh(lambda kind, payload: None)
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        request = channel.ask(Kind.STAT, b"")
        ssh.say(said)
        with pytest.raises(ConnectionLost, match=why):
            channel.response(request)
        assert channel.lost


def test_a_closed_connection_is_lost_for_all_who_wait():
    ssh = FakeSsh(lambda kind, payload: None)
    lost = []
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))

        def wait(request: int) -> None:
            try:
                channel.response(request)
            except ConnectionLost as error:
                lost.append(str(error))

        waiting = [threading.Thread(target=wait, args=(channel.ask(Kind.STAT, b""),)) for _ in range(3)]
        for thread in waiting:
            thread.start()
        ssh.eof = True
        ssh.say(b"")
        for thread in waiting:
            thread.join(10)
    assert lost == ["the server closed the connection"] * 3


def test_silence_loses_the_connection_unless_a_request_has_patience(monkeypatch):
    monkeypatch.setattr(channel_module, "_TICK", 0.02)
    ssh = FakeSsh(lambda kind, payload: None)
    with ssh.channel(silence=0.1) as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        request = channel.ask(Kind.CLOSE, b"")
        late = threading.Timer(0.4, ssh.say, [framed(Kind.STATUS, struct.pack(">II", request, 0))])
        late.start()
        assert channel.response(request, patience=20) == (Kind.STATUS, bytes(4))
        began = time.monotonic()
        with pytest.raises(ConnectionLost, match="has not responded"):
            channel.response(channel.ask(Kind.STAT, b""))
        assert time.monotonic() - began < 10


def test_the_hosts_sign_of_life_is_asked_for_while_a_response_is_awaited(monkeypatch):
    monkeypatch.setattr(channel_module, "_TICK", 0.02)
    monkeypatch.setattr(channel_module, "_KEEPALIVE", 0.05)
    ssh = FakeSsh(lambda kind, payload: None)
    with ssh.channel(silence=0.5) as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        with pytest.raises(ConnectionLost):
            channel.response(channel.ask(Kind.STAT, b""))
    assert ssh.ignored >= 2


def test_a_response_that_nobody_needs_is_waited_for_until_its_deadline(monkeypatch):
    monkeypatch.setattr(channel_module, "_TICK", 0.02)
    ssh = FakeSsh(lambda kind, payload: None)
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        with pytest.raises(ConnectionLost, match="too slow to wait for"):
            channel.response(channel.ask(Kind.STAT, b""), deadline=time.monotonic())


class Stop(Exception):
    """Raised by who is asked meanwhile."""


def stop():
    raise Stop


def test_who_waits_for_several_responses_is_woken_when_all_are_there():
    ssh = FakeSsh(lambda kind, payload: None)
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        asked = channel.ask_together([(Kind.STAT, b"", b"")] * 3)
        there = threading.Thread(target=channel.await_all, args=(asked,))
        there.start()
        for number in reversed(asked):
            there.join(0.1)
            assert there.is_alive()
            ssh.say(framed(Kind.STATUS, struct.pack(">II", number, 0)))
        there.join(10)
        assert not there.is_alive()
        assert [channel.response(number) for number in asked] == [(Kind.STATUS, bytes(4))] * 3


def test_who_is_told_to_stop_does_not_wait_for_a_response(monkeypatch):
    monkeypatch.setattr(channel_module, "_TICK", 0.02)
    ssh = FakeSsh(lambda kind, payload: None)
    with ssh.channel(silence=60) as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        request = channel.ask(Kind.STAT, b"")
        with pytest.raises(Stop):
            channel.await_all([request], patience=600, meanwhile=stop)
        ssh.say(framed(Kind.STATUS, struct.pack(">II", request, 0)))
        assert channel.response(request) == (Kind.STATUS, bytes(4))


@pytest.mark.parametrize("window", [0, 10])
def test_who_is_told_to_stop_does_not_wait_for_room_and_leaves_no_half_request_behind(monkeypatch, window):
    monkeypatch.setattr(channel_module, "_TICK", 0.02)
    ssh = FakeSsh(echo)
    with ssh.channel(silence=60) as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        ssh.window = window
        write = ssh.write

        def last(piece):
            write(piece)
            ssh.window = 0

        ssh.write = last
        with pytest.raises(Stop):
            channel.ask(Kind.WRITE, b"x" * 100, meanwhile=stop)
        assert channel.lost
        with pytest.raises(ConnectionLost, match="a request was given up"):
            channel.ask(Kind.CLOSE, b"")


def test_room_that_is_made_is_used_at_once(monkeypatch):
    ssh = FakeSsh(echo)
    with ssh.channel(silence=60) as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        ssh.window = 0

        def widen():
            ssh.window = 1 << 20
            ssh.say(b"")

        began = time.monotonic()
        threading.Timer(0.2, widen).start()
        assert channel.response(channel.ask(Kind.WRITE, b"x" * 100)) == (Kind.WRITE, b"x" * 100)
        assert 0.2 <= time.monotonic() - began < 0.9  # less than a tick


def test_a_server_that_lets_the_window_open_by_a_byte_now_and_then_is_left(monkeypatch):
    monkeypatch.setattr(channel_module, "_SLOWEST", 1e9)
    monkeypatch.setattr(channel_module, "_LINGERS", 0.01)
    ssh = FakeSsh(echo)
    with ssh.channel(silence=0.05) as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        ssh.window = 1
        with pytest.raises(ConnectionLost, match="the server accepts next to nothing"):
            channel.ask(Kind.WRITE, b"x" * 100)
        assert channel.lost


def test_a_keepalive_that_cannot_be_sent_loses_the_connection(monkeypatch):
    monkeypatch.setattr(channel_module, "_TICK", 0.02)
    monkeypatch.setattr(channel_module, "_KEEPALIVE", 0.05)
    ssh = FakeSsh(lambda kind, payload: None)

    def broken(_):
        raise OSError("Broken pipe")

    ssh.send_ignore = broken
    with ssh.channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        with pytest.raises(ConnectionLost, match="Broken pipe"):
            channel.response(channel.ask(Kind.STAT, b""))


@pytest.mark.parametrize("sizes", [[70_000], [70_000, 10], [10] * 3 + [70_000] * 2, [200_000] * 3])
def test_requests_of_any_size_that_go_out_together_are_all_responded_to(sizes):
    with FakeSsh(echo).channel() as channel:
        channel.greet(b"\x01" + struct.pack(">I", 3))
        asked = channel.ask_together([(Kind.WRITE, bytes([n]), b"x" * size) for n, size in enumerate(sizes)])
        found = [channel.response(request)[1] for request in asked]
    assert found == [bytes([n]) + b"x" * size for n, size in enumerate(sizes)]
