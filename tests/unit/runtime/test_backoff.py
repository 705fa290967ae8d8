"""Pauses between tries."""

import pytest

from client_delivery.runtime import backoff
from client_delivery.runtime.backoff import Backoff, Retries


def test_pauses_double_up_to_the_longest():
    steady = Backoff(first=0.5, longest=5, jitter=False)
    assert [steady.pause(failures) for failures in (1, 2, 3, 4, 5, 6)] == [0.5, 1, 2, 4, 5, 5]


def test_failures_without_end_are_no_error():
    assert Backoff(first=0.5, longest=5, jitter=False).pause(10_000) == 5


def test_with_jitter_a_pause_is_anything_up_to_its_length():
    drawn = [Backoff(first=1, longest=4).pause(3) for _ in range(400)]
    assert min(drawn) < 1 < 3 < max(drawn) <= 4


def test_what_waits_can_be_replaced(monkeypatch):
    waited = []
    monkeypatch.setattr(backoff, "sleep", waited.append)
    Backoff(first=2, longest=4, jitter=False).wait(2)
    assert waited == [pytest.approx(4)]


@pytest.fixture
def passing(monkeypatch):
    """Time that passes with the pauses only; returns them."""
    pauses: list[float] = []
    monkeypatch.setattr(backoff, "sleep", pauses.append)
    monkeypatch.setattr(backoff, "clock", lambda: sum(pauses))
    return pauses


def test_retries_end_with_the_patience_and_the_last_comes_when_it_ends(passing):
    retries = Retries(Backoff(first=1, longest=4, jitter=False))
    while retries.wait(10):
        pass
    assert passing == [1, 2, 4, 3]
    assert not retries.wait(10)


def test_without_patience_there_is_no_retry_and_no_pause(passing):
    assert not Retries(Backoff(first=1, longest=4)).wait(0)
    assert passing == []


def test_patience_may_differ_by_what_went_wrong(passing):
    retries = Retries(Backoff(first=1, longest=4, jitter=False))
    assert retries.wait(1)
    assert not retries.wait(1)
    assert retries.wait(2)
    assert passing == [1, 1]
