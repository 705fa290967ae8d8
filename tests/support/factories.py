"""Files and entries for tests, with as few words as a test needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.file import PickupFile
from client_delivery.ledger.life import RunRef

MODIFIED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN = RunRef("scheduled__2026-03-01T12:00:00+00:00", 0, "acme")
EARLIER = RunRef("scheduled__2026-03-01T11:45:00+00:00", 0, "acme")


def a_file(name: str = "a.csv", etag: str = "etag-a", *, size: int = 10, modified: datetime = MODIFIED) -> PickupFile:
    return PickupFile(name, "pickup", f"in/{name}", etag, size, modified)


def an_entry(file: PickupFile | None = None, **changes: Any) -> Entry:
    file = file or a_file()
    known: dict[str, Any] = {
        "delivery_key": "H1234",
        "identity": file.etag,
        "status": Status.SUCCESS,
        "active": False,
        "file_name": file.name,
        "file_path": file.path,
        "send_attempts": 0,
        "timestamp": "2026-03-01T12:00:00.000Z",
        "size": file.size,
        "source_etag": file.etag,
        "source_modified": file.last_modified.isoformat(),
        "configuration": "acme",
        "armed_by": EARLIER,
        "owned_by": EARLIER,
        "batch": 0,
        "open": False,
    }
    return Entry(**known | changes)
