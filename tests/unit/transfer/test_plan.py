"""R6.1: how a run's files are shared out."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from client_delivery.transfer.plan import Plan, longest, split

GIB = 1024**3


def batches(plan: Plan, sizes: list[int]) -> list[list[int]]:
    """The sizes of each batch's files."""
    found: list[list[int]] = [[] for _ in range(plan.batches)]
    for number, size in zip(plan.numbers, sizes, strict=True):
        found[number].append(size)
    return found


@given(st.lists(st.integers(0, 100 * GIB), max_size=200), st.integers(1, 8), st.none() | st.integers(1, 50 * GIB))
def test_r6_1_every_file_is_in_exactly_one_batch_and_no_batch_is_empty(sizes, most, threshold):
    plan = split(sizes, threshold=threshold, most_batches=most)
    assert all(batches(plan, sizes))
    assert plan.worker <= most
    offloaded = batches(plan, sizes)[plan.worker :]
    assert all(len(batch) == 1 for batch in offloaded)
    if threshold is not None:
        assert sorted(size for (size,) in offloaded) == sorted(size for size in sizes if size >= threshold)


def test_r6_1_few_small_files_are_one_batch():
    plan = split([10] * 900, threshold=None, most_batches=4)
    assert (plan.worker, plan.offloaded) == (1, 0)


def test_r6_1_many_small_files_are_shared_evenly():
    sizes = [10] * 10_000
    lengths = [len(batch) for batch in batches(split(sizes, threshold=None, most_batches=4), sizes)]
    assert lengths == [2500] * 4


def test_r6_1_large_files_are_spread():
    sizes = [8 * GIB, 8 * GIB, 1, 1]
    shared = batches(split(sizes, threshold=None, most_batches=2), sizes)
    assert sorted(map(sum, shared)) == [8 * GIB + 1, 8 * GIB + 1]


def test_r6_1_no_more_big_files_go_to_containers_than_airflow_maps():
    plan = split([GIB] * 1500, threshold=GIB, most_batches=4)
    assert (plan.worker, plan.offloaded) == (4, 1000)


def test_nothing_to_send_is_no_batch():
    assert split([], threshold=None, most_batches=4).batches == 0


@given(st.lists(st.integers(0, 100 * GIB), max_size=50), st.none() | st.integers(1, 50 * GIB))
def test_what_shares_a_bandwidth_limit_goes_in_one_batch(sizes, threshold):
    plan = split(sizes, threshold=threshold, most_batches=4, together=True)
    assert plan.batches == min(len(sizes), 1)
    assert set(plan.numbers) <= {0}
    big = threshold is not None and any(size >= threshold for size in sizes)
    assert plan.offloaded == (1 if big else 0)


def test_a_try_may_take_as_long_as_the_slowest_that_is_waited_for():
    gib = 1024**3
    assert longest(1, 0) == timedelta(hours=1, seconds=10)
    assert longest(1, 100 * gib) == timedelta(hours=1, seconds=10 + 102_400), "at a MiB a second"
    assert longest(1000, gib) == timedelta(hours=1, seconds=10_000 + 1024)
    assert longest(1, gib, 2 * 1024**2) == longest(1, gib)
    assert longest(1, gib, 1024**2) == timedelta(hours=1, seconds=10 + 2048), "the client's own limit is waited for"
