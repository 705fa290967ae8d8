"""Reading the record: newest first, page by page, each page one or a few queries whatever there is (R3.4, R3.8)."""

from __future__ import annotations

import base64
import binascii
import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client_delivery.ledger import expressions
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.record import DISMISSED, Recorded, fact_of_name, fact_of_sum, in_key, known, names, outcomes
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STATUSES = ("success", "fail", DISMISSED)
MOST = 200
"""The most outcomes in one page: read, and kept in memory, for one response."""
_DIGESTS = {8: "crc32", 16: "crc64nvme", 32: "md5", 40: "sha1", 64: "sha256"}
"""Hexadecimal digits, as people's own tools print checksums."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some outcomes, and where the next ones start."""

    found: Sequence[Recorded]
    next: str | None = None
    """The ``after`` of the next call; None if nothing follows."""


class History:
    """The record of all clients in one ledger table."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._reader = Reader(dynamodb, table)

    def of_client(
        self,
        delivery_key: str,
        *,
        status: str | None = None,
        since: str = "",
        until: str = "",
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """A client's outcomes in a period, newest first.

        :param since: the first moment, ISO 8601 in UTC, or its beginning (``2026-03``); empty: from the first on.
        :param until: the first moment after the period; empty: up to now.
        """
        limit = min(limit, MOST)
        upper = after or until or "~"
        kinds = [status] if status else STATUSES
        streams = [self._descending(outcomes(delivery_key, kind), since or " ", upper, limit + 1) for kind in kinds]
        merged = heapq.merge(*streams, key=lambda item: item[SORT_KEY], reverse=True)
        items = [item for item, _ in zip(merged, range(limit + 1), strict=False)]
        found = [Recorded.from_item(item) for item in items[:limit]]
        return Page(found, found[-1].position if len(items) > limit else None)

    def of_name(self, delivery_key: str, beginning: str, *, after: str | None = None, limit: int = 50) -> Page:
        """A client's outcomes of files whose names have this beginning, by name and then by time."""
        return self._led(
            names(delivery_key),
            limit,
            after,
            forward=True,
            condition=f"begins_with({SORT_KEY}, :beginning)" if beginning else "",
            values={":beginning": in_key(beginning)} if beginning else {},
        )

    def of_file(self, delivery_key: str, name: str, *, after: str | None = None, limit: int = MOST) -> Page:
        """All outcomes of the files of exactly this name, oldest first."""
        page = self.of_name(delivery_key, f"{in_key(name)}#", after=after, limit=limit)
        return Page([one for one in page.found if one.file_name == name], page.next)

    def anywhere(self, words: str, *, limit: int = 50) -> list[Recorded]:
        """Outcomes of all clients whose file has this name (without its folders) or this checksum, newest first.

        A checksum may be written as its tool prints it: base64 or hexadecimal, with its algorithm before or without.
        """
        limit = min(limit, MOST)
        found = {}
        for fact in [fact_of_name(words), *map(fact_of_sum, spellings(words))]:
            for one in self._led(known(fact), limit, None, forward=False).found:
                found[one.delivery_key, one.position] = one
        wanted = words.rpartition("/")[0]
        of_path = [one for one in found.values() if not wanted or one.file_name.casefold().endswith(words.casefold())]
        return sorted(of_path or found.values(), key=lambda one: one.at, reverse=True)[:limit]

    def _led(
        self,
        partition: str,
        limit: int,
        after: str | None,
        *,
        forward: bool,
        condition: str = "",
        values: Mapping[str, str] | None = None,
    ) -> Page:
        limit = min(limit, MOST)
        pages = self._pages(
            KeyConditionExpression=f"{PARTITION_KEY} = :partition" + (f" AND {condition}" if condition else ""),
            ExpressionAttributeValues=expressions.to_item({":partition": partition, **(values or {})}),
            ScanIndexForward=forward,
            Limit=limit + 1,
            **_start(partition, after),
        )
        leads = [item for item, _ in zip(pages, range(limit + 1), strict=False)]
        keys = [{PARTITION_KEY: one["recordedIn"], SORT_KEY: one["recordedAs"]} for one in leads[:limit]]
        read = {(item[PARTITION_KEY], item[SORT_KEY]): item for item in self._reader.items(keys)}
        # DynamoDB removes expired items one by one (its developer guide, "Time to live"): a lead may lead nowhere.
        there = [read[place] for key in keys if (place := (key[PARTITION_KEY], key[SORT_KEY])) in read]
        more = len(leads) > limit
        return Page([Recorded.from_item(item) for item in there], leads[limit - 1][SORT_KEY] if more else None)

    def _descending(self, partition: str, lower: str, upper: str, limit: int) -> Iterator[dict[str, Any]]:
        values = {":partition": partition, ":lower": lower, ":upper": upper}
        items = self._pages(
            KeyConditionExpression=f"{PARTITION_KEY} = :partition AND {SORT_KEY} BETWEEN :lower AND :upper",
            ExpressionAttributeValues=expressions.to_item(values),
            ScanIndexForward=False,
            Limit=limit,
        )
        return (item for item in items if item[SORT_KEY] < upper)

    def _pages(self, **request: Any) -> Iterator[dict[str, Any]]:
        """Items on demand, one request after the other; eventually consistent, at half the price."""
        while True:
            response = self._dynamodb.query(TableName=self._table, **request)
            yield from map(expressions.from_item, response["Items"])
            if "LastEvaluatedKey" not in response:
                return
            request["ExclusiveStartKey"] = response["LastEvaluatedKey"]


def spellings(words: str) -> list[str]:
    """The spellings in the record of a checksum that somebody typed."""
    text = words.strip()
    head, _, tail = text.partition(":")
    value = tail.split(":")[0] if tail and head.casefold().isalnum() and len(head) < 12 else text
    found = [value]
    if len(value) in _DIGESTS:
        with suppress(binascii.Error, ValueError):  # no hexadecimal number
            found += [base64.b64encode(binascii.unhexlify(value)).decode(), value.lower()]
    return list(dict.fromkeys(one for one in found if one))


def in_words(outcome: Recorded) -> dict[str, Any]:
    """An outcome as in CSV and JSON, with the ledger's attribute names."""
    return {
        "client": outcome.delivery_key,
        "time": outcome.at,
        "status": outcome.status,
        "fileName": outcome.file_name,
        "sizeBytes": outcome.size,
        "deliveredTo": outcome.delivered_to,
        "checksum": outcome.checksum,
        "verifiedBy": outcome.verified_by,
        "contentChecksums": " ".join(outcome.content),
        "attempts": outcome.attempts,
        "lastError": outcome.error,
        "configuration": outcome.configuration,
        "run": outcome.run,
        "askedBy": outcome.asked_by,
        "askedWhy": outcome.asked_why,
        "cameAt": outcome.modified,
        "registeredAt": outcome.registered_at,
        "armedAt": outcome.armed_at,
        "attemptStartedAt": outcome.began_at,
        "filePath": outcome.file_path,
        "versionId": outcome.version_id,
        "sourceETag": outcome.source_etag,
    }


def _start(partition: str, after: str | None) -> dict[str, Any]:
    if after is None:
        return {}
    return {"ExclusiveStartKey": expressions.to_item({PARTITION_KEY: partition, SORT_KEY: after})}
