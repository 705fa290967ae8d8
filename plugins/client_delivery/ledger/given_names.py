"""The delivered names that a pick-up's files have got, so that no other file gets one of them unnoticed.

A template can give two files one name. In one run both are held (:mod:`client_delivery.run.naming`); this module
remembers names across runs. The same file, under any name, or another file of the same source name may have it again:
the new one replaces the older one, like files that keep their names.

The items state facts and are written before the entries, never conditionally; they are found by their keys (R3.4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from client_delivery.ledger.pickup_items import PickupItems, digest_of, kept_until
from client_delivery.ledger.schema import TTL_ATTRIBUTE


@dataclass(frozen=True, slots=True)
class GivenName:
    """A name at the destination, and the file that has it."""

    name: str
    file_name: str
    """Below the pick-up's prefix."""
    entry: str
    """The sort key of its entry."""

    def is_for(self, other: GivenName) -> bool:
        """Whether a file that gets the same name is the same one, or its successor."""
        return self.entry == other.entry or self.file_name == other.file_name


class GivenNames(PickupItems):
    """The names of one pick-up, in the partition of :mod:`client_delivery.ledger.registry`."""

    def find(self, names: Iterable[str]) -> dict[str, GivenName]:
        """The names that a file has got already, read consistently."""
        items = self._reader.items(self._key(_of(name)) for name in dict.fromkeys(names))
        found = (GivenName(item["name"], item["fileName"], item["entry"]) for item in items)
        return {one.name: one for one in found}

    def note(self, given: Iterable[GivenName]) -> None:
        """Write them, and replace what was said about the same names before."""
        expires = kept_until()
        items = [
            {
                **self._key(_of(one.name)),
                "name": one.name,
                "fileName": one.file_name,
                "entry": one.entry,
                TTL_ATTRIBUTE: expires,
            }
            for one in {one.name: one for one in given}.values()
        ]
        self._writer.put_all(self._table, items)


def _of(name: str) -> str:
    return f"given#{digest_of(name)}"
