"""A pick-up with as many files as one likes, and a ledger for it, neither of which is kept anywhere.

In place of the AWS clients, at the edge of our own code: no HTTP, no botocore. The answers are made from the request,
page by page, as S3 and DynamoDB page them; writes are counted and forgotten. So whatever memory a task takes is its
own. What such a ledger cannot show, conditions that fail and races, is tested against a real table elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from unittest import mock

from client_delivery.config.model import ClientConfig
from client_delivery.ledger import expressions
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY

MODIFIED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SIZE = 1000
"""Bytes of each file."""
_PAGE = 1000
"""What S3 lists in one response, and what DynamoDB answers to a query in 1 MB, roughly."""


@dataclass(frozen=True)
class Waiting:
    """What waits in the pick-up."""

    config: ClientConfig
    files: int
    known: str = ""
    """The status that the ledger has of each file; empty: it knows none."""
    open: bool = False
    """Each is known to the ledger's index as unfinished, from a run that died."""
    checksum: str = "CRC64NVME"
    """What S3 has of each file. CRC32, which boto3 sends, does not suffice to tell what is equal."""
    twice: int = 100
    """One in so many files of the second half has the content of one of the first half."""

    def key(self, number: int) -> str:
        return f"{self.config.pickup.prefix}2026/03/part-{number:09d}.csv"

    def etag(self, number: int) -> str:
        """As under KMS: it says nothing of the content."""
        return f"{number:032x}"

    def content(self, number: int) -> int:
        """Two files of one content have one number here."""
        half = self.files // 2
        return number - half if number >= half and number % self.twice == 0 else number

    @property
    def contents(self) -> int:
        """How many different ones there are."""
        return len({self.content(number) for number in range(self.files)})


class S3:
    """The pick-up's S3 client."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self.calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def _count(self, call: str) -> None:
        with self._lock:
            self.calls[call] += 1

    def get_paginator(self, name: str) -> Any:
        assert name == "list_objects_v2"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, **_: Any) -> Iterator[dict[str, Any]]:
        waiting = self._waiting
        for start in range(0, waiting.files, _PAGE):
            self._count("List")
            yield {
                "Contents": [
                    {
                        "Key": waiting.key(number),
                        "ETag": f'"{waiting.etag(number)}"',
                        "Size": SIZE,
                        "LastModified": MODIFIED,
                    }
                    for number in range(start, min(start + _PAGE, waiting.files))
                ]
            }

    def head_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self._count("Head")
        number = int(Key[-13:-4])
        length = 8 if self._waiting.checksum == "CRC64NVME" else 4
        digest = hashlib.md5(str(self._waiting.content(number)).encode()).digest()[:length]
        return {
            "ETag": f'"{self._waiting.etag(number)}"',
            "ContentLength": SIZE,
            "LastModified": MODIFIED,
            "VersionId": f"version-{number:020d}",
            f"Checksum{self._waiting.checksum}": base64.b64encode(digest).decode(),
        }

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:
        self._count("Get")
        content = f"{self._waiting.content(int(Key[-13:-4])):01000d}".encode()
        body = BytesIO(content)
        body.iter_chunks = lambda _: iter([content])  # type: ignore[attr-defined]
        return {"Body": body}


class DynamoDB:
    """The ledger's client."""

    exceptions = SimpleNamespace(
        ConditionalCheckFailedException=type("Refused", (Exception,), {}),
        TransactionCanceledException=type("Canceled", (Exception,), {}),
    )

    def __init__(self, waiting: Waiting, table: str) -> None:
        self._waiting = waiting
        self._table = table
        self.calls: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        """Items by what they are: entries, and the others by the prefix of their sort key."""
        self._lock = threading.Lock()

    def _count(self, call: str) -> None:
        with self._lock:
            self.calls[call] += 1

    def get_paginator(self, name: str) -> Any:
        assert name == "query"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, **request: Any) -> Iterator[dict[str, Any]]:
        asked = request["ExpressionAttributeValues"][":key"]["S"]
        shown = self._waiting.files if self._waiting.open and asked == self._waiting.config.delivery_key else 0
        shown = shown if "IndexName" in request else 0
        for start in range(0, max(shown, 1), _PAGE):
            self._count("Query")
            yield {"Items": [self._entry(number) for number in range(start, min(start + _PAGE, shown))]}

    def batch_get_item(self, *, RequestItems: Any) -> dict[str, Any]:
        self._count("BatchGet")
        keys = [expressions.from_item(key)[SORT_KEY] for key in RequestItems[self._table]["Keys"]]
        found = [self._entry(int(key, 16)) for key in keys if len(key) == 32] if self._waiting.known else []
        return {"Responses": {self._table: found}}

    def _entry(self, number: int) -> dict[str, Any]:
        waiting, dead = self._waiting, "acme/scheduled__2026-03-01T11:45:00+00:00/0"
        name = waiting.key(number).removeprefix(waiting.config.pickup.prefix)
        return expressions.to_item(
            {
                PARTITION_KEY: waiting.config.delivery_key,
                SORT_KEY: waiting.etag(number),
                "status": waiting.known,
                "active": False,
                "fileName": name,
                "filePath": f"s3://{waiting.config.pickup.bucket}/{waiting.key(number)}",
                "sendAttempts": 3 if waiting.known == "fail" else 0,
                "timestamp": "2026-03-01T12:00:00.000Z",
                "sizeBytes": SIZE,
                "sourceETag": waiting.etag(number),
                "sourceModified": MODIFIED.isoformat(),
                "configuration": waiting.config.name,
                "armedBy": dead,
                "ownedBy": dead,
                "workRef": "scheduled__2026-03-01T11:45:00+00:00#00000",
                "openKey": waiting.config.delivery_key if waiting.open else None,
                "lastError": "The partner's disk is full." if waiting.known == "fail" else None,
                "fencingToken": 1,
            }
        )

    def get_item(self, **_: Any) -> dict[str, Any]:
        self._count("GetItem")
        return {}

    def put_item(self, **request: Any) -> dict[str, Any]:
        self._count("Put")
        self._note(request["Item"])
        return {}

    def update_item(self, **request: Any) -> dict[str, Any]:
        self._count("Update")
        return {"Attributes": self._entry(0)}

    def batch_write_item(self, *, RequestItems: Any) -> dict[str, Any]:
        self._count("BatchWrite")
        for put in RequestItems[self._table]:
            self._note(put["PutRequest"]["Item"])
        return {}

    def transact_write_items(self, *, TransactItems: Any) -> dict[str, Any]:
        self._count("Transact")
        for write in TransactItems:
            ((verb, request),) = write.items()
            self._note(request["Item"] if verb == "Put" else request["Key"])
        return {}

    def _note(self, item: Any) -> None:
        if PARTITION_KEY in item and item[PARTITION_KEY]["S"] == self._waiting.config.delivery_key:
            prefix, mark, _ = item[SORT_KEY]["S"].partition("#")
            with self._lock:
                self.written[prefix if mark else "entries"] += 1


@contextmanager
def standing_in(waiting: Waiting, table: str) -> Iterator[tuple[S3, DynamoDB]]:
    """For whatever runs in here, these are the pick-up and the ledger."""
    s3, dynamodb = S3(waiting), DynamoDB(waiting, table)
    with (
        mock.patch("client_delivery.access.aws.s3_client", return_value=s3),
        mock.patch("client_delivery.access.aws.dynamodb_client", return_value=dynamodb),
    ):
        yield s3, dynamodb


def none(waiting: Waiting) -> Waiting:
    """The same pick-up, empty."""
    return replace(waiting, files=0)
