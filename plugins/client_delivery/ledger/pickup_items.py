"""What the ledger keeps by pick-up and not by delivery key, so that an edit of the key loses nothing (R3.7)."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from client_delivery.ledger.reads import Reader
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import ConditionalWriter

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS = 400 * 86_400


def partition_of(bucket: str, prefix: str) -> str:
    """The partition of one pick-up."""
    return f"pickup#{bucket}/{prefix}"


class PickupItems:
    """One kind of items in the partition of one pick-up; they are found by their keys (R3.4)."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, bucket: str, prefix: str) -> None:
        self._reader = Reader(dynamodb, table)
        self._writer = ConditionalWriter(dynamodb)
        self._table = table
        self._partition = partition_of(bucket, prefix)

    def _key(self, sort_key: str) -> dict[str, str]:
        return {PARTITION_KEY: self._partition, SORT_KEY: sort_key}


def digest_of(name: str) -> str:
    """For a sort key: names are untrusted, and may be longer than a key or have lone surrogates."""
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


def kept_until() -> int:
    """The time to live of an item that is written now: Unix seconds. An entry keeps its own name and set for ever."""
    return int(time.time()) + _KEPT_SECONDS
