"""The log of a long transfer is alive, and a limit of bandwidth is kept."""

from __future__ import annotations

import json
import logging
import time

from client_delivery.transfer.progress import Progress
from client_delivery.transfer.throttle import Throttle


def test_progress_is_logged_every_interval_with_rate_and_time_left(caplog):
    now = [0.0]
    with caplog.at_level(logging.INFO):
        progress = Progress(logging.getLogger("t"), "big.bin", 1000, interval=10, clock=lambda: now[0])
        for second in range(1, 26):
            now[0] = float(second)
            progress(10)
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [line["moved"] for line in lines] == [100, 200]
    assert lines[0] | {"event": "file_progress"} == {
        "event": "file_progress",
        "file": "big.bin",
        "moved": 100,
        "bytes": 1000,
        "percent": 10.0,
        "bytes_per_second": 10,
        "seconds_left": 90,
    }


def test_a_throttle_spreads_bytes_over_time():
    throttle = Throttle(1_000_000)
    started = time.monotonic()
    for _ in range(5):
        throttle.take(50_000)
    assert time.monotonic() - started >= 0.2


def test_without_a_limit_nothing_waits():
    throttle = Throttle(None)
    started = time.monotonic()
    for _ in range(1000):
        throttle.take(1_000_000_000)
    assert time.monotonic() - started < 0.5


def test_r6_7_what_an_earlier_attempt_brought_is_said_and_counts_for_the_percentage_not_for_the_rate(caplog):
    now = [0.0]
    with caplog.at_level(logging.INFO):
        progress = Progress(logging.getLogger("t"), "big.bin", 1000, interval=10, clock=lambda: now[0])
        progress.resumed(500)
        now[0] = 10.0
        progress(100)
    resumed, line = [json.loads(record.getMessage()) for record in caplog.records]
    assert resumed == {"event": "file_resumed", "file": "big.bin", "there": 500, "bytes": 1000}
    assert (line["percent"], line["bytes_per_second"], line["seconds_left"]) == (60.0, 10, 40)


def test_what_is_sent_once_more_after_a_resumption_never_makes_the_rate_negative(caplog):
    now = [0.0]
    with caplog.at_level(logging.INFO):
        progress = Progress(logging.getLogger("t"), "big.bin", 1000, interval=10, clock=lambda: now[0])
        progress.resumed(400)
        now[0] = 10.0
        progress(-400)  # the server has not kept them
        now[0] = 20.0
        progress(200)
    first, second = [json.loads(record.getMessage()) for record in caplog.records][1:]
    assert (first["moved"], first["bytes_per_second"], first.get("seconds_left")) == (0, 0, None)
    assert (second["moved"], second["bytes_per_second"], second["seconds_left"]) == (200, 10, 80)


def test_a_file_that_takes_more_than_six_hours_is_said_to_take_long_once_an_hour(caplog):
    now = [0.0]
    with caplog.at_level(logging.INFO):
        progress = Progress(logging.getLogger("t"), "big.bin", 10**9, interval=1800, clock=lambda: now[0])
        for half_hour in range(1, 16):
            now[0] = half_hour * 1800.0
            progress(10)
    lines = [json.loads(record.getMessage()) for record in caplog.records]
    assert [line["hours"] for line in lines if line["event"] == "file_takes_long"] == [6.0, 7.0]
