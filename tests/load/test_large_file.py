"""A file of 1 TiB, as a monthly file may become: its bytes are generated, checked and forgotten (R6.6).

Source and destination are the stand-ins of :mod:`benchmarks.transfer`, which keep no object on any disk.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx
import pytest

from benchmarks.transfer.contenders import engine, engine_streaming
from benchmarks.transfer.site import SOURCE, Site
from tests.load.measured import MIB, note

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

TIB = 1024**4


@pytest.mark.parametrize(("kind", "contender"), [("gcs", engine), ("s3", engine_streaming)])
def test_one_tebibyte(kind, contender):
    files = [{"bucket": SOURCE, "key": "monthly.bin", "size": TIB}]
    with tempfile.TemporaryDirectory() as directory, Site(Path(directory) / "site", kind, files, {}) as site:
        site.prepare("run")
        measured = contender(site, "run", files)
        site.verify("run", files)  # size and CRC32C of every byte that arrived
        urls = [site.s3_url] + ([site.gcs_url] if kind == "gcs" else [])
        requests = {}
        for url in urls:
            requests |= httpx.get(f"{url}/_local/requests", timeout=60).json()
    note(
        f"1 TiB to {kind}: {measured.seconds:.0f} s, {TIB / measured.seconds / 1e6:.0f} MB/s, "
        f"{measured.cpu / 1024:.2f} CPU s/GiB, peak memory {measured.rss / MIB:.0f} MiB; {requests}"
    )
    assert measured.rss < 200 * MIB
