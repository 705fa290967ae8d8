"""Crews: how many work at once, and what a failure does."""

from __future__ import annotations

import threading
import time

import pytest

from client_delivery.transfer import crew
from client_delivery.transfer.crew import side_by_side


def most_at_once(seconds: float, count: int, most: int, **options: int) -> int:
    lock, now, highest = threading.Lock(), 0, 0

    def work(_: int) -> None:
        nonlocal now, highest
        with lock:
            now += 1
            highest = max(highest, now)
        end = time.monotonic() + seconds
        waiting.wait(end - time.monotonic())
        with lock:
            now -= 1

    waiting = threading.Event()
    side_by_side(work, range(count), most, **options)
    return highest


def test_all_items_are_worked_on_once_and_in_order():
    done = []
    side_by_side(done.append, range(100), 1)
    assert done == list(range(100))


def test_while_the_cpu_has_room_the_crew_grows_to_its_limit():
    assert most_at_once(0.12, 60, 13) == 13


def test_where_the_cpu_is_busy_the_crew_stays_small(monkeypatch):
    monkeypatch.setattr(crew, "_BUSY", -1.0)
    assert most_at_once(0.12, 24, 16, at_first=3) == 3


def test_after_a_failure_nothing_begins_and_it_is_raised_when_all_is_over():
    done = []

    def work(item: int) -> None:
        if item == 3:
            raise ValueError(item)
        done.append(item)

    with pytest.raises(ValueError, match="3"):
        side_by_side(work, range(10), 1)
    assert done == [0, 1, 2]


def test_where_failures_do_not_stop_the_others_all_are_worked_on():
    done = []

    def work(item: int) -> None:
        done.append(item)
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        side_by_side(work, range(10), 1, stop_at_failure=False)
    assert done == list(range(10))
