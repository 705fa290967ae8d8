"""A read-only ledger: what a look would note or take over is remembered here, and written nowhere.

So a run can say what would happen (R9.1) with the same code that decides what does happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client_delivery.ledger.aliases import Alias, Aliases
    from client_delivery.ledger.entry import Entry
    from client_delivery.ledger.table import Ledger


class UnwrittenLedger:
    """Replaces a :class:`~client_delivery.ledger.table.Ledger`, as far as a survey uses one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._adopted: dict[str, Entry] = {}
        self.delivery_key = ledger.delivery_key
        self.aliases = UnwrittenAliases(ledger.aliases)

    def each_open(self) -> Iterator[Entry]:
        """As the ledger has them."""
        return self._ledger.each_open()

    def each_held(self) -> Iterator[Entry]:
        """As the ledger has them."""
        return self._ledger.each_held()

    def find(self, etags: Iterable[str]) -> dict[str, Entry]:
        """As the ledger has them, and what would have been taken over."""
        wanted = list(etags)
        found = self._ledger.find(wanted)
        return {etag: self._adopted[etag] for etag in wanted if etag in self._adopted} | found

    def adopt(self, entries: Sequence[Entry], origin: object) -> list[str]:
        """Remember what would be taken over; an entry that is there already stays."""
        there = self._ledger.find(entry.identity for entry in entries)
        fresh = {entry.identity: entry for entry in entries if entry.identity not in there}
        self._adopted |= fresh
        return list(fresh)


class UnwrittenAliases:
    """Replaces :class:`~client_delivery.ledger.aliases.Aliases`."""

    def __init__(self, aliases: Aliases) -> None:
        self._aliases = aliases
        self._noted: dict[str, Alias] = {}

    def find(self, keys: Iterable[str]) -> dict[str, Alias]:
        """As they are written, or as they would have been replaced."""
        wanted = list(keys)
        return self._aliases.find(wanted) | {key: self._noted[key] for key in wanted if key in self._noted}

    def note(self, aliases: Iterable[Alias]) -> None:
        """Remember them."""
        self._noted |= {alias.key: alias for alias in aliases}
