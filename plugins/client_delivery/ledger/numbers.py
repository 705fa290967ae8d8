"""The numbers in delivered names: each file gets one once, and keeps it, whatever becomes of the run that asked.

They are kept by pick-up, like :mod:`client_delivery.ledger.registry`, so that an edit of the delivery key does not
reset them (R3.7)::

    pickup#<bucket>/<prefix>   number#ever               the last number of all
                               number#day#<date>         the last one of a day, by the client's clock
                               number#of#<digest>        the numbers of one file

The counters and the files' numbers change in one transaction: no number is given twice, and no process that dies loses
one. A number stays unused if its file is taken away before it is registered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger.pickup_items import PickupItems, digest_of, kept_until
from client_delivery.ledger.schema import SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_AT_ONCE = 98
"""A transaction takes a hundred writes, and two are for the counters."""
_TRIES = 5


class NumbersMoved(Exception):
    """Another run keeps taking numbers of this pick-up. A retry helps."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """The numbers of one file, and when it got them: the date in its name."""

    ever: int
    of_day: int
    at: str
    """ISO 8601, UTC."""


class Numbers(PickupItems):
    """The numbers of one pick-up."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, bucket: str, prefix: str, *, kind: str = "number") -> None:
        """``kind``: what is counted has a sequence of its own."""
        super().__init__(dynamodb, table, bucket, prefix)
        self._kind = kind

    def known(self, files: Iterable[str]) -> dict[str, Numbered]:
        """The numbers that some of the files have already, by the files' keys."""
        keys = {self._of(file): file for file in files}
        items = self._reader.items(self._key(key) for key in keys)
        return {
            keys[item[SORT_KEY]]: Numbered(int(item["ever"]), int(item["ofDay"]), item["at"])
            for item in items
            if item[SORT_KEY] in keys
        }

    def give(self, files: Sequence[str], *, day: str, at: str) -> dict[str, Numbered]:
        """Numbers for the files, in their order; a file that has its numbers keeps them.

        :param files: each a separate identity: the same one always gets the same numbers.
        :param day: the date in the client's time zone; ``at`` is the same moment, ISO 8601 in UTC.

        Raises :class:`NumbersMoved`.
        """
        given: dict[str, Numbered] = {}
        for start in range(0, len(files), _AT_ONCE):
            given |= self._give(files[start : start + _AT_ONCE], day, at)
        return given

    def would_give(self, files: Sequence[str], *, day: str, at: str) -> dict[str, Numbered]:
        """What :meth:`give` would return now, without giving anything."""
        known, (ever, of_day) = self.known(files), self._last(day)
        fresh = [file for file in files if file not in known]
        return known | {file: Numbered(ever + n, of_day + n, at) for n, file in enumerate(fresh, start=1)}

    def _give(self, files: Sequence[str], day: str, at: str) -> dict[str, Numbered]:
        for _ in range(_TRIES):
            known = self.known(files)
            fresh = [file for file in files if file not in known]
            if not fresh:
                return known
            ever, of_day = self._last(day)
            given = {file: Numbered(ever + n, of_day + n, at) for n, file in enumerate(fresh, start=1)}
            expires = kept_until()
            writes = [
                self._counter(self._ever, ever, len(fresh), {}),
                self._counter(self._day(day), of_day, len(fresh), {TTL_ATTRIBUTE: expires}),
                *(self._given(file, numbered, expires) for file, numbered in given.items()),
            ]
            if self._writer.write_together(writes):
                return known | given
        raise NumbersMoved(
            "Another run took the numbers for delivered names at the same time. Nothing is lost: the next try "
            "takes the next numbers."
        )

    def _last(self, day: str) -> tuple[int, int]:
        items = self._reader.items(self._key(key) for key in (self._ever, self._day(day)))
        last = {item[SORT_KEY]: int(item["last"]) for item in items}
        return last.get(self._ever, 0), last.get(self._day(day), 0)

    def _counter(self, key: str, last: int, more: int, attributes: Mapping[str, Any]) -> Write:
        unchanged = Attr("last").eq(last) if last else Attr("last").not_exists()
        return Write.update(self._table, self._key(key), {"last": last + more, **attributes}, unchanged)

    def _given(self, file: str, numbered: Numbered, expires: int) -> Write:
        assign = {"ever": numbered.ever, "ofDay": numbered.of_day, "at": numbered.at, TTL_ATTRIBUTE: expires}
        return Write.update(self._table, self._key(self._of(file)), assign, Attr("ever").not_exists())

    @property
    def _ever(self) -> str:
        return f"{self._kind}#ever"

    def _day(self, day: str) -> str:
        return f"{self._kind}#day#{day}"

    def _of(self, file: str) -> str:
        return f"{self._kind}#of#{digest_of(file)}"
