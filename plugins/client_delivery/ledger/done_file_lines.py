"""The line of the done file with which a file came: it stays known when the done file is gone.

A done file is removed as soon as its files are registered (R4.5). A file that a guard holds then, or that gets a new
name because the template has been changed, is named later, and still uses the line of its own done file, not of one
that came for others. Kept in the partition of :mod:`client_delivery.ledger.registry`, found by keys (R3.4)::

    pickup#<bucket>/<prefix>   done-line#<digest>        the line of one file
"""

from __future__ import annotations

from collections.abc import Iterable

from client_delivery.ledger.pickup_items import PickupItems, digest_of, kept_until
from client_delivery.ledger.schema import SORT_KEY, TTL_ATTRIBUTE


class DoneFileLines(PickupItems):
    """The lines of one pick-up's files."""

    def known(self, files: Iterable[str]) -> dict[str, str]:
        """The lines of those files that came with one, read consistently.

        :param files: each an identity of its own, as :meth:`client_delivery.ledger.numbers.Numbers.give` takes them.
        """
        keys = {self._of(file): file for file in files}
        items = self._reader.items(self._key(key) for key in keys)
        return {keys[item[SORT_KEY]]: item["line"] for item in items}

    def note(self, files: Iterable[str], line: str) -> None:
        """These files came with a done file that says this."""
        expires = kept_until()
        items = [{**self._key(self._of(file)), "line": line, TTL_ATTRIBUTE: expires} for file in dict.fromkeys(files)]
        self._writer.put_all(self._table, items)

    @staticmethod
    def _of(file: str) -> str:
        return f"done-line#{digest_of(file)}"
