"""How far a transfer is, from the checkpoints that the engine really writes."""

from __future__ import annotations

import pytest

from client_delivery.transfer.arrived import arrived
from client_delivery.transfer.integrity import CRC32C, Digest
from client_delivery.transfer.reading.parts import Parts
from client_delivery.transfer.sftp.lanes import Lane, PartFile


def of(size: int) -> Digest:
    digest = Digest(CRC32C)
    digest.update(memoryview(bytes(size)))
    return digest


def test_parts_of_an_upload():
    parts = Parts("u", 100, 1000, "etag")
    assert arrived(parts.state()) == 0
    for number in (1, 2, 7):
        parts.arrived(number, "t", of(100))
    assert arrived(parts.state()) == 300


def test_lanes_of_a_file_on_a_server():
    lanes = [Lane(0, 500, of(120), of(60)), Lane(500, 1000, of(7), of(0))]
    part = PartFile("name", "etag", lanes)
    assert arrived(part.state()) == part.acknowledged == 127


@pytest.mark.parametrize(
    "state", [None, {}, {"etag": "x"}, {"upload_id": "u", "copied": True}, {"runs": [[1, 2]]}, {"lanes": [7]}]
)
def test_what_says_nothing_of_bytes(state):
    assert arrived(state) == 0
