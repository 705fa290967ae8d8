"""Uploads in parts: sizes, resuming, and what a checkpoint holds (R6.7)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from client_delivery.transfer.contract import TransferError
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.reading.parts import PartLimits, Parts, upload_parts
from client_delivery.transfer.reading.source import Span
from client_delivery.transfer.throttle import Throttle

MIB = 1024**2
GIB = 1024 * MIB
CONTENT = bytes(range(256)) * 40


def digest_of(content: bytes) -> Digest:
    digest = Digest()
    digest.update(content)
    return digest


class FakeSource:
    def __init__(self) -> None:
        self.read_bytes = 0

    def digest(self) -> Digest:
        return Digest("crc64nvme")

    def read(self, start: int, end: int) -> Iterator[memoryview]:
        for offset in range(start, end, 100):
            piece = CONTENT[offset : min(offset + 100, end)]
            self.read_bytes += len(piece)
            yield memoryview(piece)


class FakeUpload:
    def __init__(self, fail_at: int | None = None, twice: int | None = None) -> None:
        self.parts: dict[int, bytes] = {}
        self.fail_at = fail_at
        self.twice = twice

    def put(self, upload_id: str, number: int, span: Span) -> str:
        if number == self.fail_at:
            raise TransferError("cut")
        if number == self.twice:
            list(span)
        self.parts[number] = b"".join(bytes(piece) for piece in span)
        return f"etag-{number}"


class FakeJournal:
    def __init__(self) -> None:
        self.states: list[Mapping[str, Any]] = []
        self.moved = 0

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self.states.append(json.loads(json.dumps(state)))

    def confirm(self) -> None:
        """Nothing to confirm."""

    def resumed(self, there: int) -> None:
        self.moved += there

    def progress(self, moved: int) -> None:
        self.moved += moved


def new_parts() -> Parts:
    return Parts("u", 1000, len(CONTENT), "etag")


def send(source: FakeSource, upload: FakeUpload, parts: Parts, journal: FakeJournal, streams: int = 1) -> Digest:
    return upload_parts(
        source, upload, parts, journal=journal, throttle=Throttle(None), limits=PartLimits(streams=streams)
    )


def test_the_part_size_grows_with_the_file_within_the_services_limits():
    limits = PartLimits()
    assert limits.size_for(1) == limits.size_for(GIB) == 16 * MIB
    for total in (40 * GIB, 500 * GIB, 5 * 1024 * GIB, 50 * 10**12):
        size = limits.size_for(total)
        assert size % MIB == 0
        assert 5 * MIB <= size <= 5 * GIB
        assert -(-total // size) <= 10_000


@pytest.mark.parametrize("streams", [1, 4])
def test_every_byte_is_sent_once_and_the_checksum_is_the_wholes(streams):
    upload, journal, parts = FakeUpload(), FakeJournal(), new_parts()
    digest = send(FakeSource(), upload, parts, journal, streams)
    assert b"".join(upload.parts[number] for number in sorted(upload.parts)) == CONTENT
    assert digest.crc32c == digest_of(CONTENT).crc32c
    assert (digest.size, journal.moved) == (len(CONTENT), len(CONTENT))
    assert parts.part_etags == {number: f"etag-{number}" for number in range(1, 12)}


def test_a_part_that_is_sent_again_counts_once():
    journal = FakeJournal()
    digest = send(FakeSource(), FakeUpload(twice=3), new_parts(), journal)
    assert digest.crc32c == digest_of(CONTENT).crc32c
    assert journal.moved == len(CONTENT)


def test_r6_7_a_cut_upload_goes_on_with_what_is_missing():
    journal = FakeJournal()
    with pytest.raises(TransferError):
        send(FakeSource(), FakeUpload(fail_at=9), new_parts(), journal)
    resumed = Parts.resumed(journal.states[-1], "etag", len(CONTENT))
    assert resumed is not None
    resumed.keep_only({number: f"there-{number}" for number in range(1, 9)})
    source, upload = FakeSource(), FakeUpload()
    digest = send(source, upload, resumed, FakeJournal())
    assert sorted(upload.parts) == [9, 10, 11]
    assert source.read_bytes == len(CONTENT) - 8000
    assert digest.crc32c == digest_of(CONTENT).crc32c
    assert digest.own == "crc64nvme"


def test_r6_7_what_the_service_no_longer_has_is_sent_again():
    parts = new_parts()
    for number in (1, 2, 5):
        parts.arrived(number, "e", digest_of(b"x"))
    parts.keep_only({1: "e", 5: "e"})
    assert parts.missing() == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_a_checkpoint_stays_small_however_many_parts_there_are():
    parts = Parts("u" * 100, 1, 10_000, "e" * 32)
    for number in range(1, 10_001):
        if number % 500:
            parts.arrived(number, "e" * 34, digest_of(b"x"))
    assert len(json.dumps(parts.state())) < 4000


@pytest.mark.parametrize(
    "state", [None, {}, {"part": "x", "etag": "etag"}, {"upload_id": "u", "etag": "other", "runs": []}]
)
def test_r6_7_only_a_state_of_the_same_content_and_kind_is_resumed(state):
    assert Parts.resumed(state, "etag", 1) is None
