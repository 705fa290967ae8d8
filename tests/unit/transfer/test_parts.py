"""Uploads in parts: sizes, resuming, and what a checkpoint holds (R6.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import google_crc32c
import pytest

from delivery.transfer.contract import Job, SourceObject, TransferError
from delivery.transfer.integrity import Crc32c
from delivery.transfer.parts import PartLimits, Parts, upload_parts
from delivery.transfer.throttle import Throttle

MIB = 1024**2
CONTENT = bytes(range(256)) * 40


class FakeSource:
    def __init__(self) -> None:
        self.read_bytes = 0

    def read(self, start: int, end: int) -> Iterator[bytes]:
        for offset in range(start, end, 100):
            piece = CONTENT[offset : min(offset + 100, end)]
            self.read_bytes += len(piece)
            yield piece


class FakeUpload:
    def __init__(self, fail_at: int | None = None) -> None:
        self.parts: dict[int, bytes] = {}
        self.fail_at = fail_at

    def put(self, upload_id: str, number: int, size: int, pieces: Iterator[bytes], checksum: Crc32c) -> str:
        if number == self.fail_at:
            raise TransferError("cut")
        self.parts[number] = b"".join(pieces)
        return f"etag-{number}"


class FakeJournal:
    def __init__(self) -> None:
        self.states: list[Mapping[str, Any]] = []
        self.moved = 0

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        self.states.append(state)

    def confirm(self) -> None:
        """Nothing to confirm."""

    def progress(self, moved: int) -> None:
        self.moved += moved


def job(resume: Mapping[str, Any] | None = None) -> Job:
    return Job("a", SourceObject("b", "k", "etag", len(CONTENT)), 1, resume)


def test_the_part_size_grows_so_that_ten_thousand_parts_are_enough():
    limits = PartLimits()
    assert limits.size_for(1) == 32 * MIB
    assert limits.size_for(300 * 1024 * MIB) == 32 * MIB
    for total in (500 * 1024 * MIB, 5 * 1024**2 * MIB):
        size = limits.size_for(total)
        assert size % MIB == 0
        assert -(-total // size) <= 10_000


@pytest.mark.parametrize("streams", [1, 4])
def test_every_byte_is_sent_once_and_the_checksum_is_the_wholes(streams):
    upload, journal, parts = FakeUpload(), FakeJournal(), Parts("u", 1000, "etag")
    checksum = upload_parts(job(), FakeSource(), upload, parts, journal, Throttle(None), streams)
    assert b"".join(upload.parts[number] for number in sorted(upload.parts)) == CONTENT
    assert checksum.value == google_crc32c.value(CONTENT)
    assert (checksum.size, journal.moved) == (len(CONTENT), len(CONTENT))


def test_r6_7_a_cut_upload_goes_on_with_what_is_missing():
    journal, parts = FakeJournal(), Parts("u", 1000, "etag")
    with pytest.raises(TransferError):
        upload_parts(job(), FakeSource(), FakeUpload(fail_at=9), parts, journal, Throttle(None), 1)
    resumed = Parts.resumed(journal.states[-1], "etag")
    source, upload = FakeSource(), FakeUpload()
    checksum = upload_parts(job(), source, upload, resumed, FakeJournal(), Throttle(None), 1)
    assert sorted(upload.parts) == [9, 10, 11]
    assert source.read_bytes == len(CONTENT) - 8000
    assert checksum.value == google_crc32c.value(CONTENT)


@pytest.mark.parametrize("state", [None, {}, {"part": "x", "etag": "etag"}, {"upload_id": "u", "etag": "other"}])
def test_r6_7_only_a_state_of_the_same_content_and_kind_is_resumed(state):
    assert Parts.resumed(state, "etag") is None
