"""One client's part of the ledger's table: finding entries, and how a conditional change of one is made.

Reads are Query and BatchGetItem, writes are conditional, singly or a hundred in one transaction; there is no Scan
(R3.4). A write whose condition does not hold changes nothing: the methods of an attempt at one file then raise
:class:`~client_delivery.transfer.contract.Superseded`, and the bulk operations return the entries that they did change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, ConditionBase

from client_delivery.ledger.aliases import Aliases
from client_delivery.ledger.entry import HELD, Entry, Status, now, work_ref
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.manifest import Manifest
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.record import DEFAULT_DAYS, Recorded, Request
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import ConditionalWriter, Write
from client_delivery.runtime.events import as_json
from client_delivery.transfer.contract import Superseded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MOST_LIVES = 48
"""DynamoDB compares with a hundred values at most, and each life has two spellings."""
ERROR_LENGTH = 1000
"""Characters of a reason."""


def owned_by_life_of(owner: RunRef) -> ConditionBase:
    """This life of the run, or one before it; never a later one."""
    first = max(0, owner.generation - _MOST_LIVES)
    lives = (replace(owner, generation=life) for life in range(first, owner.generation + 1))
    return Attr("ownedBy").is_in([spelling for life in lives for spelling in life.spellings])


def superseded(entry: Entry) -> Superseded:
    """The error of an attempt whose write was refused."""
    return Superseded(
        f"Attempt {entry.fencing_token} of {as_json(entry.file_name)} no longer owns the file: "
        "its ledger entry has been taken over, finished or set inactive since."
    )


def attribute_of(found: Any) -> dict[str, Any] | None:
    """The known fields of a dataclass, as an attribute; None if there are none."""
    return None if found is None else {name: value for name, value in asdict(found).items() if value is not None}


class Partition:
    """The items of one delivery key in the ledger table."""

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        delivery_key: str,
        *,
        request: Request | None = None,
        clock: Callable[[], str] = now,
    ) -> None:
        """``request``: who asked for the files that are armed here."""
        self._reader = Reader(dynamodb, table)
        self._writer = ConditionalWriter(dynamodb)
        self._table = table
        self.delivery_key = delivery_key
        self._request = request or Request()
        self._clock = clock
        self.aliases = Aliases(self._reader, self._writer, table, delivery_key)
        self.manifest = Manifest(self._reader, self._writer, table, delivery_key)

    def open_entries(self, run: RunRef | None = None, batch: int | None = None) -> list[Entry]:
        """Entries that are active, unfinished or not yet reported; if given, only those of one run (any life) or batch.

        The index lags by a moment: act on an entry only with a conditional write.
        """
        return list(self._query(self.delivery_key, run, batch))

    def each_open(self) -> Iterator[Entry]:
        """The same of all runs, page by page."""
        return self._query(self.delivery_key)

    def open_now(self, run: RunRef) -> list[Entry]:
        """All open entries, read consistently: those in the index, and those that this run noted in its manifest."""
        etags = [*(entry.identity for entry in self.open_entries()), *self.manifest.etags(run.run_id)]
        return [entry for entry in self.find(etags).values() if entry.open]

    def of_run(self, run: RunRef, batch: int | None = None) -> list[Entry]:
        """The entries that this run, or one batch of it, last had in hand, read consistently, in any state."""
        seen = [*self.open_entries(run, batch), *self.held_entries(run, batch)]
        etags = [*(entry.identity for entry in seen), *self.manifest.etags(run.run_id, batch)]
        return [
            entry
            for entry in self.find(etags).values()
            if entry.owned_by.is_same_run(run) and (batch is None or entry.batch == batch)
        ]

    def held_entries(self, run: RunRef | None = None, batch: int | None = None) -> list[Entry]:
        """Entries that failed and are closed (R5.4)."""
        return list(self._query(HELD + self.delivery_key, run, batch))

    def each_held(self) -> Iterator[Entry]:
        """The same of all runs, page by page."""
        return self._query(HELD + self.delivery_key)

    def unrecorded(self, after: str | None = None) -> tuple[list[Entry], str | None]:
        """Some entries from before there was a record (R3.8), and the sort key after which there may be more.

        One request, which reads a MiB of the client's partition (entries and other items), by sort key.
        """
        items, last = self._reader.some_of_partition(
            self.delivery_key, after, "attribute_exists(finishedAt) AND attribute_not_exists(recordDays)"
        )
        return [Entry.from_item(item) for item in items], last

    def find(self, etags: Iterable[str]) -> dict[str, Entry]:
        """The entries with these sort keys, read consistently, a hundred per request.

        Other items of the partition are never returned, even if asked for: some sort keys come from people.
        """
        items = self._reader.items(self._key(etag) for etag in dict.fromkeys(etags))
        return {item[SORT_KEY]: Entry.from_item(item) for item in items if "fencingToken" in item}

    def _query(self, open_key: str, run: RunRef | None = None, batch: int | None = None) -> Iterator[Entry]:
        prefix = "" if run is None else work_ref(run.run_id, batch)
        entries = (Entry.from_item(item) for item in self._reader.indexed(open_key, prefix))
        return (entry for entry in entries if run is None or entry.owned_by.is_same_run(run))

    def _key(self, etag: str) -> dict[str, str]:
        return {PARTITION_KEY: self.delivery_key, SORT_KEY: etag}

    def raw(self, etags: Iterable[str]) -> list[dict[str, Any]]:
        """The raw items, for another partition to take over."""
        return list(self._reader.items(self._key(etag) for etag in dict.fromkeys(etags)))

    def update_of(
        self, etag: str, assign: Mapping[str, Any], condition: ConditionBase, *, add: Mapping[str, Any] | None = None
    ) -> Write:
        """A conditional change of one entry, for another partition that takes it over."""
        return self._update(etag, assign, condition, add=add)

    def _update(
        self, etag: str, assign: Mapping[str, Any], condition: ConditionBase, *, add: Mapping[str, Any] | None = None
    ) -> Write:
        return Write.update(self._table, self._key(etag), assign, condition, add=add)

    def _change(
        self,
        entry: Entry,
        assign: Mapping[str, Any],
        condition: ConditionBase,
        *,
        add: Mapping[str, Any] | None = None,
        patience: float = 0,
    ) -> Entry:
        item = self._writer.change(self._update(entry.identity, assign, condition, add=add), patience=patience)
        if item is None:
            raise superseded(entry)
        return Entry.from_item(item)

    @staticmethod
    def _sending() -> ConditionBase:
        return Attr("status").eq(Status.PROCESSING) & Attr("active").eq(True)

    def _held_by(self, entry: Entry) -> ConditionBase:
        return self._sending() & Attr("fencingToken").eq(entry.fencing_token)

    def _record(self, after: Entry, attempts: int) -> list[Write]:
        return Recorded.of(after, attempts=attempts).writes(self._table, after.record_days or DEFAULT_DAYS)
