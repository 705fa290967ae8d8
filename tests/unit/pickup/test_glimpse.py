"""What one listing says: whether anything has come since the last time."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from client_delivery.pickup.glimpse import glimpse
from tests.support.factories import MODIFIED
from tests.unit.pickup.s3_refusing import S3, config, pickup_over

NOW = MODIFIED + timedelta(minutes=5)


def seen(s3: S3, **changes):
    client = {"trigger_on_done_file": False, **changes}
    return glimpse(pickup_over(s3, **client), config(**client), NOW)


def test_a_file_that_the_patterns_leave_out_wakes_nobody():
    s3 = S3()
    s3.put("in/upload.tmp")
    assert seen(s3).digest is None
    s3.put("in/a.csv")
    before = seen(s3)
    s3.put("in/another.tmp")
    assert seen(s3) == before


def test_a_file_that_may_still_be_written_is_looked_at_again():
    s3 = S3()
    s3.put("in/a.csv")
    s3.put("in/b.csv", LastModified=NOW - timedelta(seconds=10))
    with_guard = SimpleNamespace(stable_for=timedelta(minutes=1))
    assert not seen(s3, guards=with_guard).settled
    assert seen(s3, guards=with_guard).digest != seen(s3).digest
    assert seen(s3).settled
