"""A bandwidth limit is kept, and nobody who waits for it stands still for long (R6.6)."""

from __future__ import annotations

import threading
import time

import pytest

from client_delivery.transfer.throttle import Throttle

MIB = 1024**2
KIB = 1024


@pytest.mark.parametrize(
    ("rate", "streams", "piece"),
    [
        (None, 32, None),
        (10**12, 32, None),
        (8 * MIB, 8, None),
        (3 * MIB + 5, 3, None),
        (MIB, 1, None),
        (100 * KIB, 1, 100 * KIB),
        (1, 1, 1),
    ],
)
def test_the_number_of_streams_and_their_pieces_follow_the_limit(rate, streams, piece):
    throttle = Throttle(rate)
    assert (throttle.streams(32), throttle.piece) == (streams, piece)
    assert throttle.limits is (rate is not None)


@pytest.mark.parametrize("rate", [100 * KIB, MIB, 20 * MIB, 100 * MIB])
def test_no_stream_waits_much_longer_than_a_second(rate, monkeypatch):
    """As many streams as the limit feeds take their pieces at the same moment, as a service would see it."""
    waited: list[float] = []
    monkeypatch.setattr("client_delivery.transfer.throttle.time.sleep", waited.append)
    throttle = Throttle(rate)
    threads = [
        threading.Thread(target=throttle.take, args=(throttle.piece or MIB,)) for _ in range(throttle.streams(32))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    throttle.take(throttle.piece or MIB)
    assert max(waited) <= 1.1


def test_the_limit_holds_for_all_that_take_from_it():
    throttle = Throttle(10 * MIB)
    began = time.monotonic()

    def take() -> None:
        for _ in range(5):
            throttle.take(MIB)

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.9
