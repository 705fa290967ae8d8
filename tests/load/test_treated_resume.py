"""A large file that is encrypted on its way and interrupted: gone on with, or begun anew (R6.7, R6.13).

Both ways are measured: an attempt that finds the prepared object sends what the destination lacks; one that does not,
for the interruption came while it was prepared or the object is gone, begins with the encryption. ``GIB=1`` for less.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.gcs import service_account_key
from local.process import Service
from local.stack import url_of
from tests.load.measured import MIB, note
from tests.support.killed_engine import run
from tests.support.openpgp import key

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
GIB = int(os.environ.get("GIB", "10"))
SIZE = GIB * 1024 * MIB
NAME = "claims.bin"


@dataclass(frozen=True)
class Place:
    """The servers."""

    s3: str
    gcs: str
    order: Mapping[str, Any]

    def read(self) -> int:
        """Bytes that S3 has sent so far, of the pick-up and of the prepared area."""
        return int(httpx.get(f"{self.s3}/_local/written", timeout=60).json()["sent"])

    def visible(self) -> list[int]:
        """The sizes under which the file has appeared at the destination."""
        events = httpx.get(f"{self.gcs}/_local/events", timeout=60).json()
        return [event["size"] for event in events if event["event"] == "visible"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    kept = tmp_path / "kept"
    kept.mkdir()
    s3 = Service("local.s3", f"--keep={kept}", log=tmp_path / "s3.log")
    try:
        gcs = Service("local.gcs", "--directory", str(tmp_path / "gcs"), "--discard", log=tmp_path / "gcs.log")
        try:
            s3_url, gcs_url = url_of(s3), url_of(gcs)
            etag = "0" * 32
            declared = [{"bucket": "pickup", "key": NAME, "size": SIZE, "etag": etag}]
            httpx.put(f"{s3_url}/_local/objects", json=declared, timeout=60).raise_for_status()
            httpx.post(f"{gcs_url}/_local/buckets/target").raise_for_status()
            order = {
                "destination": {"type": "gcs", "bucket": "target", "connection_id": "test"},
                "secret": {"keyfile_dict": service_account_key(gcs_url)},
                "gcs_endpoint": gcs_url,
                "source": {"bucket": "pickup", "key": NAME, "etag": etag, "size": SIZE},
                "treatment": {"area": "s3://area/", "recipient": key("good"), "suffixes": ".pgp"},
            }
            yield Place(s3_url, gcs_url, order)
        finally:
            gcs.stop()
    finally:
        s3.stop()


def attempt(place: Place, state: Path, token: int, *, kill_at: int | None = None) -> tuple[float, int, bool]:
    """Seconds, bytes read, and whether it was delivered.

    :param kill_at: the process is killed when so many per cent have arrived; 0: as soon as the file is prepared.
    """
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": place.s3,
    }
    before, began = place.read(), time.monotonic()
    order = {**place.order, "state": str(state), "token": token}
    delivered = run(order, kill_at=kill_at, environment=environment) is not None
    return time.monotonic() - began, place.read() - before, delivered


def test_what_an_interruption_costs(place, tmp_path):
    whole, read, delivered = attempt(place, tmp_path / "undisturbed.json", 1)
    assert delivered
    [size] = place.visible()
    assert size > SIZE, "the ciphertext of what cannot be compressed"
    note(
        f"{GIB} GiB, OpenPGP, undisturbed, and so after an interruption while it was prepared: {whole:.0f} s, "
        f"{read / SIZE:.2f} times its size read"
    )
    for token, at in ((2, 0), (4, 90)):
        state = tmp_path / f"killed at {at}.json"
        begun, _, delivered = attempt(place, state, token, kill_at=at)
        assert not delivered
        resumed, again, delivered = attempt(place, state, token + 1)
        assert delivered
        note(
            f"{GIB} GiB, OpenPGP, killed after {begun:.0f} s when {at} % had arrived: gone on with in {resumed:.0f} s, "
            f"{again / SIZE:.2f} times its size read"
        )
        assert again < SIZE * (1.05 - at / 100 + 0.1), "what has arrived is not read again, and nothing of the pick-up"
    assert len(place.visible()) == 3
