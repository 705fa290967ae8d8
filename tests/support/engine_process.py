"""The engine in a process of its own, to be killed: keeps its checkpoint in a file and says how far it is.

Its order stands on standard input: ``destination``, ``secret``, ``gcs_endpoint``, ``source``, ``state`` (a path), and
``treatment``, as the benchmark's engine takes it, for a file that is compressed or encrypted on its way.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from benchmarks.transfer.engine import treated
from client_delivery.access.aws import s3_access
from client_delivery.config.model import DestinationSection
from client_delivery.transfer.contract import Job, SourceObject
from client_delivery.transfer.delivering.destinations import open_destination
from client_delivery.transfer.secret import Secret


class FileJournal:
    """Keeps the state in a file, whole or not at all, and prints how much is acknowledged."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(self._path)
        if "prepared" in state:
            state = state.get("engine") or {}
        acknowledged = sum(kept[-1]["size"] for kept in state.get("runs") or state.get("lanes") or [])
        print("acknowledged", 100 * acknowledged // self._size, flush=True)

    def confirm(self) -> None:
        """Nobody else is here."""

    def resumed(self, there: int) -> None:
        """Nobody looks."""

    def progress(self, moved: int) -> None:
        """Nobody looks."""


def main() -> None:
    order = json.load(sys.stdin)
    path = Path(order["state"])
    source = SourceObject(**order["source"])
    config: Any = TypeAdapter(DestinationSection).validate_python(order["destination"])
    secret = Secret("test", extra=order["secret"]) if order["secret"] else None
    access = s3_access()
    destination = open_destination(
        config, secret=secret, source_s3=access, destination_s3=access, gcs_endpoint=order["gcs_endpoint"]
    )
    if treatment := order.get("treatment"):
        destination = treated(destination, treatment, access)
    resume = json.loads(path.read_text()) if path.exists() else None
    with destination:
        receipt = destination.deliver(
            Job(source.key, source, token=order["token"], resume=resume), FileJournal(path, source.size)
        )
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print("delivered", json.dumps({"checksum": receipt.checksum, "rss": int(peak.split()[1]) * 1024}), flush=True)


if __name__ == "__main__":
    main()
