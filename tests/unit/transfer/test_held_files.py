"""What is made here and not in S3, such as completion files: it is read as an object of S3 is."""

from __future__ import annotations

import os

import pytest

from client_delivery.transfer.reading.held import HeldFiles
from client_delivery.transfer.reading.source import Source
from client_delivery.transfer.throttle import Throttle

CONTENT = os.urandom(300_000)


@pytest.mark.parametrize(("start", "end"), [(0, 300_000), (0, 1), (299_999, 300_000), (100_000, 200_001)])
def test_any_stretch_of_it_can_be_read(start, end):
    files = HeldFiles()
    source = Source(files, files.job("set.complete", CONTENT, 1).source)
    assert b"".join(map(bytes, source.read(start, end))) == CONTENT[start:end]


def test_it_is_read_whole_and_has_no_checksum_of_s3s():
    files = HeldFiles()
    source = Source(files, files.job("set.complete", CONTENT, 1).source)
    content, digest = source.whole(Throttle(None))
    assert (content, digest.size, source.own_checksum()) == (CONTENT, len(CONTENT), None)
