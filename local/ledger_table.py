"""The ledger of a running demo, as a table: python -m local.ledger_table [--client H1001] [--all] (`make ledger`)."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable

from client_delivery.config.loader import load_directory
from client_delivery.ledger.entry import Status
from client_delivery.notify.sizes import human_size
from client_delivery.runtime.events import one_line
from local.demo_addresses import WORK, RunningDemo
from local.ledger_item import LedgerItem

_SHOWN = 8
"""Files of each client, those first that need a person; the rest is counted."""
_URGENT = {Status.FAIL: 0, Status.PROCESSING: 1, Status.SUCCESS: 2}


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", help="one client's H number, or its delivery key")
    parser.add_argument("--all", action="store_true", help="every file, not the first of each client")
    arguments = parser.parse_args()
    try:
        demo = RunningDemo()
    except RuntimeError as none:
        print(none, file=sys.stderr)
        return 1
    keys = [loaded.config.delivery_key for loaded in load_directory(WORK / "client_configs") if loaded.config]
    wanted = [key for key in keys if arguments.client in (None, key, key.partition("#")[0])]
    if not wanted:
        print(f"No client {arguments.client}; there are {', '.join(sorted(keys))}", file=sys.stderr)
        return 1
    for key in sorted(wanted):
        print(table(key, demo.ledger_entries(key).values(), None if arguments.all else _SHOWN))
    return 0


def table(key: str, entries: Iterable[LedgerItem], most: int | None) -> str:
    """One client's entries, those first that need a person, then the newest."""
    newest = sorted(entries, key=lambda entry: entry.timestamp, reverse=True)
    ordered = sorted(newest, key=lambda entry: _URGENT[entry.status])
    counts = Counter(state(entry) for entry in ordered)
    lines = [f"{key}: {', '.join(f'{number:,} {name}' for name, number in counts.items()) or 'no files yet'}"]
    for entry in ordered[:most]:
        facts = f"{entry.send_attempts} failed  {human_size(entry.size):>10}  {entry.timestamp}"
        lines.append(f"  {state(entry):<19} {facts}  {one_line(entry.file_name)}")
        if entry.last_error and entry.status is not Status.SUCCESS:
            lines.append(f"  {'':<19} {one_line(entry.last_error)}")
    if rest := len(ordered[most or len(ordered) :]):
        lines.append(f"  and {rest:,} more (ALL=1)")
    return "\n".join(lines) + "\n"


def state(entry: LedgerItem) -> str:
    """The status, and what a person would ask next: whether a run has it in hand, whether it waits for somebody."""
    if entry.status is Status.FAIL and not entry.open:
        return "fail, held"
    return f"{entry.status.value}{', active' if entry.active else ''}"


if __name__ == "__main__":
    sys.exit(main())
