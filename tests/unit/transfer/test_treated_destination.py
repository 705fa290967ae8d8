"""A destination whose files are prepared first: prepared once, delivered from there, and removed."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from client_delivery.transfer.contract import (
    Interrupted,
    Receipt,
    SourceChanged,
    SourceObject,
    Superseded,
    TooLarge,
    TransferError,
)
from client_delivery.transfer.reading.held import HeldFiles
from client_delivery.transfer.treatment.destination import TreatedDestination, Treatment, _State
from tests.unit.transfer.prepared_kit import PREPARED, digest_of
from tests.unit.transfer.sftp_kit import Journal, job

MIB = 1024**2


class Inner:
    """The destination itself: raises what it is told to."""

    parallel_jobs = 4

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.discarded: list[tuple[str, object]] = []
        self.delivered: list[object] = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def deliver(self, job, journal):
        self.delivered.append(job)
        if self.error is not None:
            raise self.error
        return Receipt("sftp://there", job.source.size, "crc32c:AAAAAA==", "size")

    def discard(self, name, resume):
        self.discarded.append((name, dict(resume)))


@pytest.fixture
def treated(area):
    """``treated(inner, "gzip")``: open, with the files that it reads as ``files``."""

    def open_it(inner, compress="gzip"):
        files = HeldFiles()
        how = Treatment(compress, None, ".gz" if compress else "", keep_metadata=False)
        destination = TreatedDestination(inner, lambda: how, area, files)
        destination.__enter__()
        destination.files = files
        return destination

    return open_it


@pytest.mark.parametrize("size", [1000, 6 * MIB], ids=["small", "large"])
@pytest.mark.parametrize(("compress", "opened"), [("gzip", gzip.decompress), (None, bytes)])
def test_what_is_prepared_is_the_file(treated, bucket, size, compress, opened):
    inner, content = Inner(), bytes(size)
    destination, journal = treated(inner, compress), Journal()
    receipt = destination.deliver(job(destination.files, "a.csv.gz", content), journal)
    [prepared] = bucket.objects.values()
    assert opened(prepared) == content
    assert (receipt.prepared.size, receipt.prepared.source_size) == (len(prepared), size)
    assert inner.delivered[0].source.key in bucket.objects
    destination.remove(receipt.prepared)
    assert bucket.objects == {}


def test_who_was_overtaken_before_anybody_knew_of_it_removes_what_it_prepared(treated, bucket, monkeypatch):
    def overtaken(state):
        raise Superseded

    destination, journal = treated(Inner()), Journal()
    monkeypatch.setattr(journal, "checkpoint", overtaken)
    with pytest.raises(Superseded):
        destination.deliver(job(destination.files, "a.csv.gz", b"x"), journal)
    assert bucket.objects == {}


def test_a_prepared_copy_that_was_removed_meanwhile_is_no_change_of_the_pick_up(treated):
    """Otherwise a file that is there would be told to be gone, and no attempt would follow."""
    destination = treated(Inner(SourceChanged("s3://prepared/k is gone")))
    with pytest.raises(TransferError, match=r'copy of "a\.csv\.gz" was removed from the prepared area') as raised:
        destination.deliver(job(destination.files, "a.csv.gz", b"x"), Journal())
    assert raised.value.retry_helps
    assert not isinstance(raised.value, SourceChanged)


def test_what_an_attempt_with_other_keys_began_is_removed_before_it_is_prepared_again(treated, bucket):
    inner = Inner()
    destination = treated(inner)
    bucket.objects["files/old/1"] = b"of other keys"
    old = replace(PREPARED, key="files/old/1", etag=digest_of(b"of other keys").crc32c)
    state = _State(old, {"upload_id": "u"}).written()
    destination.deliver(job(destination.files, "a.csv.gz", b"x", token=2, resume=state), Journal())
    assert inner.discarded == [("a.csv.gz", {"upload_id": "u"})]
    assert "files/old/1" not in bucket.objects
    assert inner.delivered[0].resume is None, "the engine begins anew with another object"


def test_no_attempt_follows_and_nothing_of_both_stays(treated, bucket):
    inner = Inner()
    bucket.objects["files/old/1"] = b"x"
    prepared = replace(PREPARED, key="files/old/1", etag=digest_of(b"x").crc32c)
    treated(inner).discard("a.csv.gz", _State(prepared, {"part": "p"}).written())
    assert (inner.discarded, bucket.objects) == ([("a.csv.gz", {"part": "p"})], {})


def test_a_file_that_is_too_large_for_the_area_is_told_before_it_is_read(treated):
    destination = treated(Inner())
    big = job(destination.files, "a.csv.gz", b"x")
    big = replace(big, source=SourceObject("probe", "a.csv.gz", "e", 3 * 1024**4))
    with pytest.raises(TooLarge, match=r"3298534883328 bytes: files of that size cannot be compressed or encrypted"):
        destination.deliver(big, Journal())


class Busy:
    """The turn of others, for so many seconds."""

    def __init__(self, seconds: int) -> None:
        self.left = seconds

    def acquire(self, timeout):
        self.left -= 1
        return self.left < 0

    def release(self):
        self.left = -100


@pytest.mark.parametrize("stopped", [False, True])
def test_a_large_file_waits_for_its_turn_and_can_be_told_to_stop_meanwhile(treated, bucket, monkeypatch, stopped):
    inner = Inner()
    destination, journal = treated(inner), Journal()
    destination._large = Busy(3)
    asked = []

    def progress(moved):
        asked.append(moved)
        if stopped and len(asked) == 2:
            raise Interrupted

    monkeypatch.setattr(journal, "progress", progress)
    big = job(destination.files, "a.csv.gz", bytes(5 * MIB))
    if stopped:
        with pytest.raises(Interrupted):
            destination.deliver(big, journal)
        assert bucket.objects == {}
        assert destination._large.left == 1, "a turn that it never had is not given back"
    else:
        destination.deliver(big, journal)
        assert destination._large.left == -100
        assert len(inner.delivered) == 1
