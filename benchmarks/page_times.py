"""How long the Deliveries page takes from a DynamoDB that is 5 ms away, with 1,000 clients and a million records.

    python -m benchmarks.page_times

The application, its templates and what it asks are the product's; the table and Airflow are stood in for. The table
keeps what it takes to make an item, and makes it when it is read, so that a million records and the six million items
that lead to them have room in memory.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from client_delivery.ledger.board import PARTITION as BOARD
from client_delivery.ledger.record import Recorded, in_key, known, names
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.web.access import Dag
from client_delivery.web.data import Data
from tests.functional.web.conftest import FakeAirflow, mounted
from tests.functional.web.test_page_times import ONE
from tests.support.far_table import AWAY, FarTable

CLIENTS, FILES, ROUNDS = 1_000, 1_000, 5
_BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
PAGES = {
    "the board": "/deliveries/",
    "who needs a person": "/deliveries/?show=needs",
    "a file name that all 1,000 clients have": "/deliveries/?q=claims_00777.csv",
    "a checksum": "/deliveries/?q=sum-0500-00123",
    "a client": "/deliveries/clients/c0500",
    "a client's next page": "/deliveries/clients/c0500?after=2025-06",
    "a client in a month": "/deliveries/clients/c0500?since=2025-03&until=2025-04",
    "a client's files by name": "/deliveries/clients/c0500?begins=claims_007",
    "a file's life": "/deliveries/clients/c0500/file?file=claims_00777.csv",
    "what a year would send again (1,000 files)": "/deliveries/clients/c0500/again?since=2025",
    "months and people, changes of the configuration": "/deliveries/clients/c0500/about",
}


def record(client: int, number: int) -> Recorded:
    """One delivery."""
    at = (_BEGAN + timedelta(minutes=500 * number + client)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return replace(
        ONE,
        delivery_key=f"H{client:04d}",
        at=at,
        file_name=f"claims_{number:05d}.csv",
        entry=f"etag-{client}-{number}",
        source_etag=f"etag-{client}-{number}",
        checksum=f"crc32c:sum-{client:04d}-{number:05d}",
    )


def made(what: Any) -> dict[str, Any]:
    """The item of what the table keeps."""
    if isinstance(what, dict):
        return what
    client, number, which = what
    one = record(client, number)
    if which:
        return {PARTITION_KEY: "?", SORT_KEY: which, "recordedIn": one.key[PARTITION_KEY], "recordedAs": one.position}
    write = one.writes("t", 2557)[0]
    return {**one.key, **write.assigned}


def table() -> FarTable:
    """A million records, and the board."""
    there = FarTable(made)
    for client in range(CLIENTS):
        there.put(
            {PARTITION_KEY: BOARD, SORT_KEY: f"c{client:04d}", "deliveryKey": f"H{client:04d}", "held": client % 20}
        )
        for number in range(FILES):
            one = record(client, number)
            position = one.position
            there.lay(one.key[PARTITION_KEY], position, (client, number, None))
            named = f"{in_key(one.file_name)}#{position}"
            there.lay(names(one.delivery_key), named, (client, number, named))
            for fact in one.facts:
                there.lay(known(fact), position, (client, number, position))
    there.sort()
    return there


def main() -> None:
    """Print the table of benchmarks/README.md."""
    began = time.monotonic()
    far = table()
    airflow = FakeAirflow()
    ids = [f"c{client:04d}" for client in range(CLIENTS)]
    airflow.dags_there = {name: Dag(name, frozenset({"client-delivery", f"H{name[1:]}"})) for name in ids}
    airflow.may_read, airflow.may_run = {"operator": set(ids)}, {"operator": set(ids)}
    print(f"{CLIENTS * FILES:,} records, laid in {time.monotonic() - began:.0f} s\n")
    print("| Page | Requests | Seconds | Memory while it is made (MiB) | Page (KiB) |\n|---|---|---|---|---|")
    with mounted(airflow, lambda: Data(far, "t")) as page:  # type: ignore[arg-type]
        for what, path in PAGES.items():
            ask = lambda path=path: page.get(path, headers={"authorization": "operator"})  # noqa: E731
            before = far.requests
            answer = ask()
            requests = far.requests - before
            assert answer.status_code == 200, (path, answer.status_code)
            seconds = []
            for _ in range(ROUNDS):
                started = time.monotonic()
                ask()
                seconds.append(time.monotonic() - started)
            tracemalloc.start()
            ask()
            memory = tracemalloc.get_traced_memory()[1] / 1024**2
            tracemalloc.stop()
            took, size = statistics.median(seconds), len(answer.content) / 1024
            print(f"| {what} | {requests} | {took:.2f} | {memory:.1f} | {size:.0f} |")
    print(f"\nEach request takes {AWAY * 1000:.0f} ms.")


if __name__ == "__main__":
    main()
