"""10,000 small files in one pick-up: one run delivers all, in bounded memory and with few requests (R3.4, R6.6)."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from client_delivery.ledger.entry import Status
from tests.load.measured import MIB, note, run_measured
from tests.support.scenario import Scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

FILES = 10_000
_NAMES = [f"claims/{number // 100:02d}/{number:05d}.csv" for number in range(FILES)]


def content(name: str) -> bytes:
    return f"{name},{'x' * 1000}\n".encode()


def drop(client: Scenario) -> None:
    def put(name: str) -> None:
        client.s3.put_object(
            Bucket=client.config.pickup.bucket, Key=client.config.pickup.prefix + name, Body=content(name)
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, _NAMES))
    httpx.delete(f"{client.stack.aws_url}/_local/requests", timeout=60)


@pytest.mark.parametrize("destination", ["gcs", "sftp", "s3"])
def test_ten_thousand_files(scenario, destination):
    client = scenario(destination)
    measured = run_measured(client.config, lambda: drop(client))
    counts = Counter(httpx.get(f"{client.stack.aws_url}/_local/requests", timeout=60).json())
    assert measured.state == "success"
    assert client.delivered() == {name: content(name) for name in _NAMES}
    assert {entry.status for entry in client.entries().values()} == {Status.SUCCESS}
    grown = (measured.memory - measured.memory_before) / MIB
    ledger = {call: count for call, count in sorted(counts.items()) if call.startswith("dynamodb.")}
    s3 = {call: count for call, count in sorted(counts.items()) if call.startswith("s3.")}
    note(
        f"{FILES:,} files to {destination}: {measured.seconds:.0f} s, {FILES / measured.seconds:.0f} files/s, "
        f"memory {measured.memory_before / MIB:.0f} MiB before, {grown:.0f} MiB more; {ledger}; {s3}"
    )
    assert grown < 200, "MiB; 20 kB for each file would be a leak"
    assert ledger.get("dynamodb.Scan", 0) == 0
    assert sum(ledger.values()) < 2.2 * FILES, "an attempt begins and ends: two writes for each file"
