"""The prepared area: what an attempt's own lost request wrote is its own, and nothing half-written stays."""

from __future__ import annotations

import os

import pytest

from client_delivery.transfer.contract import DestinationUnavailable, SourceChanged, TransferError
from client_delivery.transfer.http.pool import Unreachable
from client_delivery.transfer.reading.carried import NOTHING
from client_delivery.transfer.treatment import area as module
from client_delivery.transfer.treatment.area import PreparedArea
from tests.unit.transfer.prepared_kit import PREPARED, Access, digest_of

MIB = 1024**2


@pytest.fixture
def _small_parts(monkeypatch):
    monkeypatch.setattr(module, "_SMALLEST_PART", MIB)


@pytest.mark.parametrize("location", ["prepared/files/", "s3://prepared/files", "s3://Prepared/", "s3://a b/"])
def test_a_location_that_is_no_prefix_of_a_bucket_is_refused(location):
    with pytest.raises(ValueError, match=location):
        PreparedArea(location, Access())


def by_put(area, content):
    return area.put("files/k/1", content, NOTHING)


def by_parts(area, content):
    pieces = (content[start : start + 100_000] for start in range(0, len(content), 100_000))
    return area.put_stream("files/k/1", pieces, len(content), NOTHING)


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("write", [by_put, by_parts])
def test_what_is_there_after_a_lost_response_is_this_attempts_own(area, bucket, write):
    content, bucket.lost = os.urandom(7 * MIB), True
    etag, digest = write(area, content)
    assert bucket.objects == {"files/k/1": content}
    assert (etag, digest.size) == (digest_of(content).crc32c, len(content))


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("write", [by_put, by_parts])
def test_what_another_wrote_is_not_taken_for_it(area, bucket, write):
    bucket.objects["files/k/1"] = b"another"
    with pytest.raises(
        TransferError, match=r"^s3://prepared/files/k/1, in the prepared area, was written by"
    ) as raised:
        write(area, os.urandom(7 * MIB))
    assert not raised.value.whole_destination, "other files have places of their own"
    assert bucket.objects == {"files/k/1": b"another"}
    assert bucket.uploads == {}


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("part", [1, 4, 7])
def test_a_part_that_is_refused_leaves_no_upload(area, bucket, part):
    bucket.refuses_part = part
    with pytest.raises(DestinationUnavailable, match=r"could not be put into the prepared area \(setting prepared_loc"):
        by_parts(area, os.urandom(7 * MIB))
    assert (bucket.objects, bucket.uploads) == ({}, {})


@pytest.mark.usefixtures("_small_parts")
def test_a_source_that_breaks_in_the_middle_leaves_no_upload(area, bucket):
    def breaking():
        yield os.urandom(3 * MIB)
        raise SourceChanged("gone")

    with pytest.raises(SourceChanged, match="gone"):
        area.put_stream("files/k/1", breaking(), 7 * MIB, NOTHING)
    assert (bucket.objects, bucket.uploads) == ({}, {})


@pytest.mark.parametrize(
    ("answer", "there"), [((200, 70), True), ((200, 71), False), ((404, 0), False), ((412, 0), False)]
)
def test_what_was_prepared_is_there_if_it_is_the_very_object(area, answer, there):
    area.access.answer = answer
    assert area.has(PREPARED) is there


@pytest.mark.parametrize(
    ("answer", "why"),
    [((403, 0), r"S3 does not show s3://prepared/files/k/1, in the prepared area: .*\[403\]"), (Unreachable("x"), "x")],
)
def test_what_s3_does_not_say_is_not_taken_for_gone(area, answer, why):
    area.access.answer = answer
    with pytest.raises(TransferError, match=why):
        area.has(PREPARED)
