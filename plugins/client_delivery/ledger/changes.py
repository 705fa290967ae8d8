"""How each configuration has changed: an item for each run that began with a different one than the run before (R3.8).

The repository's history says who edited the file, and why; only these items say from when on it applied. They are
never changed, and are kept as long as the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DAY = 86_400
_LONGEST_VALUE = 300
"""Characters of a field's value."""
_MOST_FIELDS = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that has changed."""

    field: str
    """As in the YAML file, with dots: ``pickup.prefix``."""
    before: str | None
    """The value as JSON; None if the field had its default."""
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """From this run on, another configuration applies."""

    at: str
    """ISO 8601, UTC."""
    run: str
    """The life of the run, as ``dag_id/run_id/generation``."""
    differences: Sequence[Difference] = ()
    """Empty for the first configuration that a run with files began with."""


class Changes:
    """The items of all configurations in one ledger table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._writer = ConditionalWriter(dynamodb)

    def note(self, name: str, change: Change, keep_days: int) -> None:
        """Write it. A task that dies before the new configuration is noted writes it again: readers take the first."""
        key = {PARTITION_KEY: _partition(name), SORT_KEY: f"{change.at}#{change.run}"}
        fields = [[one.field, one.before, one.after] for one in change.differences]
        expires = int(datetime.fromisoformat(change.at).timestamp()) + keep_days * _DAY
        values = {"run": change.run, "differences": json.dumps(fields), TTL_ATTRIBUTE: expires}
        self._writer.change(Write.update(self._table, key, values, Attr(SORT_KEY).not_exists()))

    def of(self, name: str, *, after: str | None = None, limit: int = 20) -> tuple[list[Change], str | None]:
        """A configuration's changes, newest first, and what to give for ``after`` to see older ones; None at the end.

        An invalid ``after`` raises nothing: nothing is older than it, or everything is.
        """
        values = {":partition": _partition(name), **({":after": after} if after else {})}
        response = self._dynamodb.query(
            TableName=self._table,
            KeyConditionExpression=f"{PARTITION_KEY} = :partition" + (f" AND {SORT_KEY} < :after" if after else ""),
            ExpressionAttributeValues=expressions.to_item(values),
            ScanIndexForward=False,
            Limit=limit,
        )
        items = [expressions.from_item(item) for item in response["Items"]]
        first: dict[str, Change] = {}
        for item in items:
            told = tuple(Difference(*fields) for fields in json.loads(item["differences"]))
            first[item["run"]] = Change(item[SORT_KEY].partition("#")[0], item["run"], told)
        more = items[-1][SORT_KEY] if "LastEvaluatedKey" in response and items else None
        return list(first.values()), more


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """The fields in which two configurations differ; each is given by its fields that are not default."""
    old, new = dict(_flat(before)), dict(_flat(after))
    fields = sorted(field for field in {**old, **new} if old.get(field) != new.get(field))
    return [Difference(one, _short(old.get(one)), _short(new.get(one))) for one in fields[:_MOST_FIELDS]]


def _flat(fields: Mapping[str, Any], begin: str = "") -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{begin}{name}.")
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value, start=1):
                yield from _flat(one, f"{begin}{name}[{number}].")
        else:
            yield f"{begin}{name}", json.dumps(value, ensure_ascii=False)


def _short(value: str | None) -> str | None:
    return value if value is None or len(value) <= _LONGEST_VALUE else f"{value[: _LONGEST_VALUE - 1]}…"


def _partition(name: str) -> str:
    return f"record#configuration#{name}"
