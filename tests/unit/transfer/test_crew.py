"""Crews: how many work at once, and what a failure does."""

from __future__ import annotations

import itertools
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


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """``machine(idle, of)``: what proc_stat(5) adds to its ticks each time that it is read."""
    stat = tmp_path / "stat"
    monkeypatch.setattr(crew, "_STAT", stat)

    def machine(idle: int, of: int, low: int = 0) -> None:
        ticks = itertools.count(1)

        class Stat:
            def open(self):
                n = next(ticks)
                stat.write_text(f"cpu  {n * (of - idle - low)} {n * low} 0 {n * idle} 0 0 0 0 7 7\ncpu0 0 0 0 0\n")
                return stat.open()

        monkeypatch.setattr(crew, "_STAT", Stat())

    return machine


@pytest.mark.parametrize("ticks", [{"idle": 1, "of": 10}, {"idle": 0, "of": 10, "low": 5}, {"idle": 0, "of": 0}])
def test_while_the_cpu_has_room_the_crew_grows_to_its_limit(machine, ticks):
    machine(**ticks)
    assert most_at_once(0.12, 60, 13) == 13


def test_where_nobody_can_tell_how_busy_the_machine_is_it_grows_as_well(monkeypatch, tmp_path):
    monkeypatch.setattr(crew, "_STAT", tmp_path / "none")
    assert most_at_once(0.12, 60, 13) == 13


def test_on_a_busy_machine_the_crew_grows_slowly(machine, monkeypatch):
    machine(idle=0, of=10)
    assert most_at_once(0.12, 24, 16, at_first=3) == 3
    monkeypatch.setattr(crew, "_ON_A_BUSY_MACHINE", 0.3)
    assert most_at_once(0.12, 60, 12, at_first=3) == 12


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
