"""Checksums that people ask for: of the bytes that are delivered, and known before the file is visible."""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import Any

import pytest

from client_delivery.transfer.contract import IntegrityError, Interrupted, Job, Journal, Receipt, Superseded
from client_delivery.transfer.delivering import digests
from client_delivery.transfer.delivering.digests import Digesting
from client_delivery.transfer.reading.held import HeldFiles
from tests.unit.transfer.scripted_service import Reply
from tests.unit.transfer.test_batch import FakeJournal

CONTENT = b"H1001,claims"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Destination:
    """Delivers when it may; returns what the journal lets it."""

    parallel_jobs = 3

    def __init__(self) -> None:
        self.visible = False

    def __enter__(self) -> Destination:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        journal.resumed(1)
        journal.checkpoint({"at": 1})
        journal.progress(1)
        journal.confirm()
        self.visible = True
        return Receipt("x://y", job.source.size, "crc32c:x", "checksum")

    def discard(self, name: str, resume: Any) -> None: ...


@pytest.fixture(params=["before", "meanwhile"])
def when(request, monkeypatch) -> str:
    """Small files are read before they are sent, large ones meanwhile."""
    if request.param == "meanwhile":
        monkeypatch.setattr(digests, "_AT_ONCE", 1)
    return str(request.param)


def held(content: bytes = CONTENT) -> tuple[HeldFiles, Job]:
    files = HeldFiles()
    return files, files.job("claims.csv", content, 1)


def test_a_receipt_has_every_checksum_that_was_asked_for(when):
    files, job = held()
    with Digesting(Destination(), files, ["sha256", "md5"]) as destination:
        assert destination.parallel_jobs == 3
        assert destination.deliver(job, FakeJournal()).digests == {"sha256": SHA256, "md5": MD5}


def test_s3s_own_sha256_is_taken_and_nothing_is_read(service, when):
    known = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    headers = {
        "content-length": str(len(CONTENT)),
        "x-amz-checksum-sha256": known,
        "x-amz-checksum-type": "FULL_OBJECT",
    }
    service.says(Reply(200, headers=headers))
    _, job = held()
    receipt = Digesting(Destination(), service.s3(), ("sha256",)).deliver(job, FakeJournal())
    assert receipt.digests == {"sha256": SHA256}
    assert [one.method for one in service.asked] == ["HEAD"]


def test_a_source_that_cannot_be_read_makes_nothing_visible(service, when):
    service.says(Reply(200, b"other bytes"))
    _, job = held()
    destination = Destination()
    with pytest.raises(IntegrityError):
        Digesting(destination, service.s3(), ("md5",)).deliver(job, FakeJournal())
    assert not destination.visible


def test_whoever_is_told_to_stop_while_it_waits_for_the_checksum_makes_nothing_visible(monkeypatch):
    monkeypatch.setattr(digests, "_AT_ONCE", 1)
    monkeypatch.setattr(digests, "_LOOK_EVERY", 0.01)
    stopped = threading.Event()

    class Slow(HeldFiles):
        def exchange(self, *args: Any, **kwargs: Any) -> Any:
            assert stopped.wait(30)
            return super().exchange(*args, **kwargs)

    class Stops(FakeJournal):
        def progress(self, moved: int) -> None:
            if moved == 0:
                stopped.set()
                raise Interrupted

    files = Slow()
    job = files.job("claims.csv", CONTENT, 1)
    destination = Destination()
    with pytest.raises(Interrupted):
        Digesting(destination, files, ["md5"]).deliver(job, Stops())
    assert not destination.visible


def test_a_delivery_that_fails_ends_the_reading_too(monkeypatch):
    """Its thread would go on reading a file of terabytes."""
    monkeypatch.setattr(digests, "_AT_ONCE", 1)
    failed = threading.Event()
    read: list[int] = []

    class Endless:
        size = 1

        def __init__(self, *_: object) -> None:
            self.object = self

        def read(self, start: int, end: int) -> Any:
            while not read or not failed.is_set():
                read.append(1)
                yield b"x"
            yield b"after the end"
            raise AssertionError("it went on")

    class Fails(Destination):
        def deliver(self, job: Job, journal: Journal) -> Receipt:
            failed.set()
            raise Superseded("another attempt")

    monkeypatch.setattr(digests, "Source", Endless)
    files, job = held()
    with pytest.raises(Superseded):
        Digesting(Fails(), files, ["md5"]).deliver(job, FakeJournal())
    assert "digests" not in {thread.name for thread in threading.enumerate()}
