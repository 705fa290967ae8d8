"""A run as its steps see it, with nothing behind it but what a test puts there: no server, no AWS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.aliases import Alias
from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.history import Page
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.record import Recorded
from client_delivery.run.context import Run
from client_delivery.runtime.settings import Settings
from tests.support.factories import RUN

FIELDS: dict[str, Any] = {
    "name": "acme",
    "client_h_number": "H1234",
    "contacts": ["data@example.com"],
    "send_notifications": True,
    "pickup": {"bucket": "pickup", "prefix": "in/"},
    "destination": {"type": "s3", "bucket": "landing", "prefix": "acme/"},
    "bypass_file_checks": False,
    "trigger_on_done_file": False,
}
FORM = {
    "bypass_file_checks": False,
    "resend_failed": False,
    "file_pattern": None,
    "ignore_done_file": False,
    "send_notifications": True,
}


def a_config(**fields: Any) -> ClientConfig:
    """A client whose pick-up is the bucket ``pickup``, below ``in/``."""
    return TypeAdapter(ClientConfig).validate_python(FIELDS | fields)


def a_run(
    config: ClientConfig | None = None,
    *,
    owner: RunRef = RUN,
    form: dict[str, Any] | None = None,
    note: str | None = None,
    **stores: Any,
) -> Run:
    """A run of the client, with these in the place of its stores: ``ledger``, ``pickup``, ``sets`` …

    What a test does not name is not there; so notes on the board become a line of the log.
    """
    run = Run(config or a_config(), owner, FORM | (form or {}), note=note)
    settings = Settings(ledger_table="none", mail_sender="Deliveries <delivery@example.com>")
    vars(run).update({"settings": settings, "earlier_ledgers": [], "_dynamodb": None} | stores)
    return run


def a_record(entry: Entry, **changes: Any) -> Recorded:
    """What the record has of the last outcome of a file."""
    known: dict[str, Any] = {
        "delivery_key": entry.delivery_key,
        "at": entry.timestamp,
        "status": entry.status.value,
        "file_name": entry.file_name,
        "file_path": entry.file_path,
        "size": entry.size,
        "configuration": entry.configuration,
        "run": str(entry.owned_by),
        "attempts": 1,
        "entry": entry.identity,
        "token": 1,
        "source_etag": entry.source_etag,
        "modified": entry.source_modified,
    }
    return Recorded(**known | changes)


class PagedRecord:
    """A record of deliveries that comes in pages, and goes on for ever where a test wants it."""

    def __init__(self, *pages: Sequence[Recorded], endless: bool = False) -> None:
        self._pages, self._endless = pages, endless
        self.asked = 0

    def of_client(self, key: str, *, status: str, after: str | None = None, limit: int = 0, **_: Any) -> Page:
        self.asked += 1
        number = int(after or 0)
        follows = self._endless or number + 1 < len(self._pages)
        found = self._pages[number % len(self._pages)] if self._pages else ()
        return Page(found, str(number + 1) if follows else None)

    def of_file(self, key: str, name: str) -> Page:
        return Page([one for page in self._pages for one in page if one.file_name == name])


class MemoryLedger:
    """What a look at the pick-up reads of a ledger, and takes over into it."""

    delivery_key = "H1234"

    def __init__(self, *entries: Entry, aliases: Iterable[Alias] = ()) -> None:
        self.entries = {entry.identity: entry for entry in entries}
        self.aliases = MemoryAliases(aliases)

    def find(self, keys: Iterable[str]) -> dict[str, Entry]:
        return {key: self.entries[key] for key in keys if key in self.entries}

    def adopt(self, entries: Sequence[Entry], origin: object) -> list[str]:
        fresh = [entry for entry in entries if entry.identity not in self.entries]
        self.entries |= {entry.identity: entry for entry in fresh}
        return [entry.identity for entry in fresh]

    def each_open(self) -> Iterator[Entry]:
        return (entry for entry in self.entries.values() if entry.open)

    def each_held(self) -> Iterator[Entry]:
        failed = (one for one in self.entries.values() if one.status is Status.FAIL and not one.open)
        return (entry for entry in failed if entry.dismissed is None)


class MemoryAliases:
    """Its aliases."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        self._known = {alias.key: alias for alias in aliases}

    def find(self, keys: Iterable[str]) -> dict[str, Alias]:
        return {key: self._known[key] for key in keys if key in self._known}

    def note(self, aliases: Iterable[Alias]) -> None:
        self._known |= {alias.key: alias for alias in aliases}
