"""One entry of the ledger, as the table has it (R3.2): how tests and demo look at what the product wrote.

They do not use the product's own reader: what it wrote and read wrongly in the same way would look right to both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef


@dataclass(frozen=True)
class LedgerItem:
    """An item of the client's partition with a ``status``.

    :param item: its attributes by name, deserialised.
    """

    item: Mapping[str, Any]

    @classmethod
    def of(cls, typed: Mapping[str, Any]) -> LedgerItem:
        """From what DynamoDB returns."""
        deserialize = TypeDeserializer().deserialize
        return cls({name: deserialize(value) for name, value in typed.items()})

    @property
    def identity(self) -> str:
        """The sort key."""
        return str(self.item["etag"])

    @property
    def status(self) -> Status:
        """``status``."""
        return Status(self.item["status"])

    @property
    def active(self) -> bool:
        """``active``."""
        return self.item["active"] is True

    @property
    def open(self) -> bool:
        """Whether the index of unfinished work has it; a held failure is there under another key."""
        return bool(self.item.get("openKey") == self.item["clientHNumber"])

    @property
    def file_name(self) -> str:
        """``fileName``."""
        return str(self.item["fileName"])

    @property
    def bucket(self) -> str:
        """The pick-up's bucket, from ``filePath``."""
        return str(self.item["filePath"]).split("/", 3)[2]

    @property
    def key(self) -> str:
        """The object's key, from ``filePath``."""
        return str(self.item["filePath"]).split("/", 3)[3]

    @property
    def version_id(self) -> str | None:
        """``versionId``."""
        return self.item.get("versionId")

    @property
    def source_etag(self) -> str:
        """``sourceETag``."""
        return str(self.item["sourceETag"])

    @property
    def size(self) -> int:
        """``sizeBytes``."""
        return int(self.item["sizeBytes"])

    @property
    def send_attempts(self) -> int:
        """``sendAttempts``."""
        return int(self.item["sendAttempts"])

    @property
    def fencing_token(self) -> int:
        """``fencingToken``."""
        return int(self.item["fencingToken"])

    @property
    def timestamp(self) -> str:
        """``timestamp``."""
        return str(self.item["timestamp"])

    @property
    def configuration(self) -> str:
        """``configuration``."""
        return str(self.item["configuration"])

    @property
    def owned_by(self) -> RunRef:
        """``<dag_id>/<run_id>/<generation>``, from an older release without the DAG; neither id has a slash."""
        *dag_id, run_id, generation = str(self.item["ownedBy"]).split("/")
        return RunRef(run_id, int(generation), *dag_id)

    @property
    def guarded(self) -> bool:
        """``guarded``."""
        return self.item.get("guarded") is True

    @property
    def last_error(self) -> str | None:
        """``lastError``."""
        return self.item.get("lastError")

    @property
    def resume(self) -> dict[str, Any] | None:
        """The checkpoint of an interrupted transfer."""
        return json.loads(self.item["resumeState"]) if "resumeState" in self.item else None

    @property
    def delivered_to(self) -> str | None:
        """``deliveredTo``."""
        return self.item.get("deliveredTo")

    @property
    def checksum(self) -> str | None:
        """``checksum``."""
        return self.item.get("checksum")

    @property
    def replaced(self) -> bool:
        """``replaced``."""
        return self.item.get("replaced") is True

    @property
    def archived_to(self) -> str | None:
        """``archivedTo``."""
        return self.item.get("archivedTo")
