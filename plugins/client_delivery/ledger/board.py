"""How each client stands, as its runs last saw it: one item for each configuration, all in one partition (R10).

The Deliveries page shows a thousand clients from one or two queries. A run that has files in hand writes its client's
item when it begins and when it ends; an idle run only reads it, and writes only a difference (R4.4).
The board is for people: no delivery depends on it, and if it cannot be written, the delivery continues.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.entry import now
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTITION = "board"
"""No delivery key looks like this: those begin with ``H`` and a number."""
_NAMED = 5
_WANTED = 50
"""Names; further ones that were asked for are in the record only."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one client stood when a run last had something to say."""

    name: str
    """The configuration's name, which is its DAG's id."""
    delivery_key: str = ""
    destination: str = ""
    place: str = ""
    """``s3://bucket/prefix`` of the pick-up."""
    expected_every_days: int | None = None
    late: tuple[str, ...] = ()
    """The expected files that are late, in words."""
    late_acknowledged: tuple[str, ...] = ()
    """The same, of those that a person has acknowledged."""
    waiting: Mapping[str, Any] | None = None
    """How many ``files`` wait ``for`` what, and whether there are ``more``; None if no file has to wait."""
    window: str | None = None
    """When sending may begin, in words; None for at any time."""
    last_delivery: str | None = None
    last_file: str | None = None
    held: int = 0
    """How many files failed and still wait in the pick-up (R5.9)."""
    held_since: str | None = None
    held_names: tuple[str, ...] = ()
    """The first few."""
    held_reason: str | None = None
    """Why the first of them failed."""
    under_way: Mapping[str, Any] | None = None
    """``run``, ``files``, ``bytes`` and ``since`` of the run that has files in hand."""
    hindered: Mapping[str, Any] | None = None
    """``why`` and ``at`` of what prevents the run's containers from starting."""
    wanted: tuple[str, ...] = ()
    """Names of files that were asked for again and whose bytes are gone: the first few not dropped since."""
    wanted_since: str | None = None
    trouble: Mapping[str, Any] | None = None
    """``task``, ``run`` and ``at`` of the last task that ended red for another reason than held files."""
    tested: Mapping[str, Any] | None = None
    """``good``, ``verdict``, ``run`` and ``at`` of the last test of the destination that a run made."""

    def tells(self, facts: Mapping[str, Any]) -> bool:
        """Whether it agrees with these attributes of the configuration."""
        told = {
            "deliveryKey": self.delivery_key,
            "destination": self.destination,
            "place": self.place,
            "expectedEveryDays": self.expected_every_days,
            "late": list(self.late) or None,
            "lateAcknowledged": list(self.late_acknowledged) or None,
            "window": self.window,
        }
        return all(told[name] == value for name, value in facts.items())

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Standing:
        """From a deserialized DynamoDB item."""
        return cls(
            name=item[SORT_KEY],
            delivery_key=item.get("deliveryKey", ""),
            destination=item.get("destination", ""),
            place=item.get("place", ""),
            late=tuple(item.get("late", ())),
            late_acknowledged=tuple(item.get("lateAcknowledged", ())),
            waiting=item.get("waiting"),
            window=item.get("window"),
            expected_every_days=int(item["expectedEveryDays"]) if "expectedEveryDays" in item else None,
            last_delivery=item.get("lastDelivery"),
            last_file=item.get("lastFile"),
            held=int(item.get("held", 0)),
            held_since=item.get("heldSince"),
            held_names=tuple(item.get("heldNames", ())),
            held_reason=item.get("heldReason"),
            under_way=item.get("underWay"),
            hindered=item.get("hindered"),
            wanted=tuple(item.get("wanted", ())),
            wanted_since=item.get("wantedSince"),
            trouble=item.get("trouble"),
            tested=item.get("tested"),
        )


class Board:
    """The items of all configurations in one ledger table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._reader = Reader(dynamodb, table)
        self._writer = ConditionalWriter(dynamodb)

    def all(self) -> dict[str, Standing]:
        """All clients, by configuration: one request for each MiB, some 2,000 clients."""
        return {item[SORT_KEY]: Standing.from_item(item) for item in self._reader.partition(PARTITION, "")}

    def of(self, name: str) -> Standing:
        """One configuration; empty if no run ever wrote it."""
        response = self._dynamodb.get_item(TableName=self._table, Key=expressions.to_item(_key(name)))
        item = expressions.from_item(response.get("Item", {}))
        return Standing.from_item(item) if item else Standing(name)

    def begun(self, name: str, facts: Mapping[str, Any], *, run: str, files: int, size: int) -> None:
        """A run has files in hand. ``facts`` are attributes from the configuration."""
        under_way = {"run": run, "files": files, "bytes": size, "since": now()}
        self._change(name, {**facts, "underWay": under_way, "hindered": None, "waiting": None})

    def ended(
        self,
        name: str,
        *,
        run: str,
        last_file: str | None,
        held: Sequence[tuple[str, str | None]],
        arrived: Collection[str] = (),
    ) -> None:
        """The run no longer has files in hand. ``held``: names and reasons of the files that failed in it; ``arrived``:
        names of the delivered ones."""
        assign: dict[str, Any] = {"underWay": None, "hindered": None}
        if last_file is not None:
            assign |= {"lastDelivery": now(), "lastFile": last_file}
        if held:
            assign |= _held(held, since=now(), count=len(held))
        self._change(name, assign)
        self.satisfied(name, arrived)
        # A task of this very run may still be red: its e-mail could not be sent.
        self._change(name, {"trouble": None}, Attr("trouble").exists() & Attr("trouble.run").ne(run))

    def expects(
        self, name: str, facts: Mapping[str, Any], late: Sequence[str], acknowledged: Sequence[str] = ()
    ) -> None:
        """The late files have changed: these are all, in words, and those that a person has acknowledged."""
        self._change(name, {**facts, "late": list(late) or None, "lateAcknowledged": list(acknowledged) or None})

    def looked(
        self,
        name: str,
        facts: Mapping[str, Any],
        held: Sequence[tuple[str, str | None]],
        count: int | None = None,
        *,
        waiting: Mapping[str, Any] | None = None,
    ) -> None:
        """An idle run has looked: nothing is in hand. Writes only if something has changed.

        ``held`` are the first of so many files.
        """
        count = len(held) if count is None else count
        before = self.of(name)
        assign: dict[str, Any] = {}
        if (before.held, before.held_names) != (count, tuple(one for one, _ in held[:_NAMED])):
            assign |= _held(held, since=before.held_since or now(), count=count)
        if before.under_way or before.trouble or before.hindered:
            assign |= {"underWay": None, "trouble": None, "hindered": None}
        if (before.waiting or None) != waiting:
            assign["waiting"] = waiting
        if assign or not before.tells(facts):
            self._change(name, {**facts, **assign})

    def is_hindered(self, name: str, why: str) -> None:
        """Something prevents the run's containers from starting."""
        self._change(name, {"hindered": {"why": why, "at": now()}})

    def wanted(self, name: str, facts: Mapping[str, Any], names: Iterable[str]) -> None:
        """These were asked for again, and their bytes are gone."""
        before = self.of(name)
        wanted = list(dict.fromkeys([*before.wanted, *names]))[:_WANTED]
        self._change(name, {**facts, "wanted": wanted, "wantedSince": before.wanted_since or now()})

    def satisfied(self, name: str, names: Collection[str]) -> None:
        """These are no longer waited for: they were delivered, or dismissed."""
        before = self.of(name).wanted if names else ()
        if before and (left := [one for one in before if one not in names]) != list(before):
            self._change(name, {"wanted": left or None, **({} if left else {"wantedSince": None})})

    def troubled(self, name: str, facts: Mapping[str, Any], *, task: str, run: str) -> None:
        """A task has ended red after its last try."""
        self._change(name, {**facts, "trouble": {"task": task, "run": run, "at": now()}})

    def tested(self, name: str, facts: Mapping[str, Any], *, verdict: str, good: bool, run: str) -> None:
        """A run has tested the destination and delivered nothing."""
        self._change(name, {**facts, "tested": {"good": good, "verdict": verdict, "run": run, "at": now()}})

    def _change(self, name: str, assign: Mapping[str, Any], condition: Any = None) -> None:
        self._writer.change(Write.update(self._table, _key(name), {**assign, "timestamp": now()}, condition or _ALWAYS))


_ALWAYS = Attr(PARTITION_KEY).not_exists() | Attr(PARTITION_KEY).exists()


def _held(held: Sequence[tuple[str, str | None]], *, since: str, count: int) -> dict[str, Any]:
    return {
        "held": count or None,
        "heldNames": [name for name, _ in held[:_NAMED]] or None,
        "heldReason": (held[0][1] or None) if held else None,
        "heldSince": since if held else None,
    }


def _key(name: str) -> dict[str, str]:
    return {PARTITION_KEY: PARTITION, SORT_KEY: name}
