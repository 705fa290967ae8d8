"""The connection is lost at every request, before it is sent or after it took effect, on every server (R6.2, R6.3).

One attempt goes on with a new connection; where it cannot, the next one does. At most one copy reaches the recipient.
A sample is part of every test run; `make test-slow` does all.
"""

from __future__ import annotations

import itertools
import random

import pytest

from tests.functional.transfer.conftest import MIB
from tests.support.lost import NEVER, cutting

SAMPLE = 2
WRITE = "6"
SIZES = (1000, 5 * MIB)


def lose(place, servers, size, at, when):
    """One connection lost; returns the requests that there were."""
    source, crc32c = servers.declare(size)
    there = place(older={source.key: b"older"})
    with cutting(at, when) as seen:
        outcome = there.deliver(source)
    try:
        assert outcome.receipt.checksum == f"crc32c:{crc32c}"
        there.require({source.key: crc32c})
        appeared = [event for event in there.events if event.path == source.key and event.how == "appeared"]
        assert there.direct or len(appeared) == 1
    except BaseException as error:
        raise AssertionError(f"lost {when} request {at} ({seen[at - 1 : at]}) of {size} bytes: {error}") from error
    return seen


def points(requests):
    """Each request, and of those that only write the first, the last, and some between."""
    writes = [number for number, kind in enumerate(requests, 1) if kind == WRITE]
    kept = {*writes[:1], *writes[-1:], *writes[::16]}
    numbers = [number for number, kind in enumerate(requests, 1) if kind != WRITE or number in kept]
    return list(itertools.product(numbers, ("before", "after")))


@pytest.mark.parametrize("size", SIZES)
def test_a_sample_of_all_lost_connections(place, servers, server, size):
    if server == "mft-on-close":
        pytest.skip("written directly, and taken: whether it arrived cannot be known, and a person is asked")
    requests = lose(place, servers, size, NEVER, "before")
    for at, when in random.Random(f"{server} {size}").sample(points(requests), SAMPLE):
        lose(place, servers, size, at, when)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("size", SIZES)
def test_every_lost_connection(place, servers, server, size):
    if server == "mft-on-close":
        pytest.skip("written directly, and taken: whether it arrived cannot be known, and a person is asked")
    requests = lose(place, servers, size, NEVER, "before")
    for at, when in points(requests):
        lose(place, servers, size, at, when)
