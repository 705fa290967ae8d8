"""R6.1: how a run's files are shared out."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from client_delivery.transfer.plan import longest, split
from tests.support.factories import a_file

GIB = 1024**3


def files(*sizes: int):
    return [a_file(f"{number}", f"etag-{number}", size=size) for number, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 100 * GIB), max_size=200), st.integers(1, 8), st.none() | st.integers(1, 50 * GIB))
def test_r6_1_every_file_is_in_exactly_one_batch_and_no_batch_is_empty(sizes, most, threshold):
    all_files = files(*sizes)
    plan = split(all_files, threshold=threshold, most_batches=most)
    placed = [file for batch in plan.batches for file in batch]
    assert sorted(file.name for file in placed) == sorted(file.name for file in all_files)
    assert all(plan.batches)
    assert len(plan.worker) <= most
    if threshold is not None:
        assert {file.name for (file,) in plan.offloaded} == {f.name for f in all_files if f.size >= threshold}


def test_r6_1_few_small_files_are_one_batch():
    assert [len(batch) for batch in split(files(*[10] * 900), threshold=None, most_batches=4).worker] == [900]


def test_r6_1_many_small_files_are_shared_evenly():
    lengths = [len(batch) for batch in split(files(*[10] * 10_000), threshold=None, most_batches=4).worker]
    assert lengths == [2500] * 4


def test_r6_1_large_files_are_spread():
    plan = split(files(8 * GIB, 8 * GIB, 1, 1), threshold=None, most_batches=2)
    assert sorted(sum(file.size for file in batch) for batch in plan.worker) == [8 * GIB + 1, 8 * GIB + 1]


def test_nothing_to_send_is_no_batch():
    assert split([], threshold=None, most_batches=4).batches == ()


@given(st.lists(st.integers(0, 100 * GIB), max_size=50), st.none() | st.integers(1, 50 * GIB))
def test_what_shares_a_bandwidth_limit_goes_in_one_batch(sizes, threshold):
    plan = split(files(*sizes), threshold=threshold, most_batches=4, together=True)
    assert len(plan.batches) == min(len(sizes), 1)
    assert sorted(file.size for batch in plan.batches for file in batch) == sorted(sizes)
    big = threshold is not None and any(size >= threshold for size in sizes)
    assert len(plan.offloaded) == (1 if big else 0)


def test_a_try_may_take_as_long_as_the_slowest_that_is_waited_for():
    gib = 1024**3
    assert longest(1, 0) == timedelta(hours=1, seconds=10)
    assert longest(1, 100 * gib) == timedelta(hours=1, seconds=10 + 102_400), "at a MiB a second"
    assert longest(1000, gib) == timedelta(hours=1, seconds=10_000 + 1024)
    assert longest(1, gib, 2 * 1024**2) == longest(1, gib)
    assert longest(1, gib, 1024**2) == timedelta(hours=1, seconds=10 + 2048), "the client's own limit is waited for"
