"""Who did what: one item for each run that a person triggered or cleared, kept as long as the record (R3.8).

Airflow's own log of events has the same and more, but is deleted after a month, and does not say why.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger import expressions
from client_delivery.ledger.entry import now
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import ConditionalWriter, Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_DAY = 86_400
MOST = 100
"""Read in one request, newest first."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person did with a client."""

    at: str
    """ISO 8601, UTC."""
    what: str
    run: str = ""
    """The life of the run, as ``dag_id/run_id/generation``."""
    by: str | None = None
    """The user, as Airflow knows them; None where Airflow does not tell its tasks."""
    why: str | None = None


class Acts:
    """The items of all clients in one ledger table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._writer = ConditionalWriter(dynamodb)

    def note(self, delivery_key: str, act: Act, keep_days: int) -> None:
        """Write it. A task that is retried writes it again: readers take the first of a run's life."""
        key = {PARTITION_KEY: _partition(delivery_key), SORT_KEY: f"{act.at}#{act.run}"}
        expires = int(datetime.fromisoformat(act.at).timestamp()) + keep_days * _DAY
        values = {"what": act.what, "run": act.run, "by": act.by, "why": act.why, TTL_ATTRIBUTE: expires}
        always = Attr(SORT_KEY).not_exists() | Attr(SORT_KEY).exists()
        self._writer.change(Write.update(self._table, key, values, always))

    def of(self, delivery_key: str) -> list[Act]:
        """The last hundred of a client, newest first."""
        request: Any = {
            "KeyConditionExpression": f"{PARTITION_KEY} = :partition",
            "ExpressionAttributeValues": expressions.to_item({":partition": _partition(delivery_key)}),
            "ScanIndexForward": False,
            "Limit": MOST,
        }
        items = map(expressions.from_item, self._dynamodb.query(TableName=self._table, **request)["Items"])
        first: dict[str, Act] = {}
        for item in items:
            at = item[SORT_KEY].partition("#")[0]
            first[item["run"]] = Act(at, item["what"], item["run"], item.get("by"), item.get("why"))
        return sorted(first.values(), key=lambda act: act.at, reverse=True)


def triggered(life: str, *, generation: int, asked: str, by: str | None, why: str | None) -> Act:
    """The act of triggering or clearing the run, now."""
    what = "cleared a run" if generation else "triggered a run"
    return Act(now(), f"{what}: {asked}" if asked else what, life, by, why)


def _partition(delivery_key: str) -> str:
    return f"record#acts#{delivery_key}"
