"""The record of deliveries: each delivery and each final failure once, and never changed again (R3.8).

An entry has the current state of a file, and loses its outcome when it is armed again. The record has what happened:
one item for each outcome, written in the transaction that writes the outcome into the entry, so that the two agree,
and small items that lead to it. All of them are found by their keys (R3.4)::

    partition                                sort key                            leads to
    record#success#<delivery key>            <time>#<digest>                     the outcome itself
    record#fail#<delivery key>               <time>#<digest>                     the outcome itself
    record#dismissed#<delivery key>          <time>#<digest>                     the decision not to send a failed file
    record#name#<delivery key>               <file name>#<time>#<digest>         it, by the beginning of its name
    record#known#<digest of name or sum>     <time>#<digest>                     it, over all clients

A client by time, or by time and status, is one query of a partition or two merged ones. Nothing but these items is in
these partitions, and no reader of entries queries them. An outcome writes some seven small items: twice a write unit
each, as transactions cost (docs/developers/guide.md, "The record").

They are written with ``Update`` and not ``Put``: DynamoDB makes the item that is not there (API reference, UpdateItem),
and the containers' role of an older deployment may do that; a refusal after the bytes have arrived would send the file
twice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE
from client_delivery.ledger.writes import Write

if TYPE_CHECKING:
    from client_delivery.ledger.entry import Entry, Wish

DEFAULT_DAYS = 2557
"""Seven years."""
DISMISSED = "dismissed"
"""The status of a failed file that a person decided not to send."""
_LONGEST_NAME = 900
"""Bytes of a name in a sort key, which may have 1,024."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Request:
    """The person who asked for a delivery, as in the record."""

    by: str | None = None
    """The user who triggered the run, as Airflow knows them; None for a run by schedule."""
    why: str | None = None
    """The run's note when it began."""
    record_days: int = DEFAULT_DAYS
    """How long the record of its outcomes is kept."""

    def of(self, wish: Wish | None) -> Request:
        """The same for an earlier request."""
        return self if wish is None else Request(wish.by, wish.why, self.record_days)

    @property
    def attributes(self) -> dict[str, Any]:
        """As attributes of the armed entries."""
        return {"askedBy": self.by, "askedWhy": self.why, "recordDays": self.record_days}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One delivery, or one final failure, as it was."""

    delivery_key: str
    at: str
    """ISO 8601, UTC."""
    status: str
    """``success`` or ``fail``; ``dismissed`` if a person decided that a failed file is not to be sent."""
    file_name: str
    file_path: str
    size: int
    configuration: str
    run: str
    """The life of the run, as ``dag_id/run_id/generation``."""
    attempts: int
    """The number of attempts, including this one."""
    entry: str
    """The sort key of the file's entry."""
    token: int
    source_etag: str
    version_id: str | None = None
    content: tuple[str, ...] = ()
    """What is known about the content, as :class:`~client_delivery.ledger.identity.Fingerprint` writes it."""
    delivered_to: str | None = None
    delivered_name: str | None = None
    """Its name at the destination, if it differs from the one in the pick-up."""
    checksum: str | None = None
    """Of the delivered bytes."""
    source_checksum: str | None = None
    """Of the file in the pick-up, if it was compressed or encrypted on its way."""
    delivered_size: int | None = None
    """Delivered bytes, if they differ from ``size``, the bytes in the pick-up."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Of the bytes at the destination, in hexadecimal, if the configuration asks for them."""
    verified_by: str | None = None
    error: str | None = None
    modified: str | None = None
    """When the file came into the pick-up."""
    registered_at: str | None = None
    armed_at: str | None = None
    """When it was last set to be sent with fresh attempts."""
    began_at: str | None = None
    """When the attempt that ended so began."""
    asked_by: str | None = None
    asked_why: str | None = None
    tries: tuple[Mapping[str, Any], ...] = ()
    """The failed attempts before: ``began``, ``at`` and ``error`` of each."""

    @property
    def key(self) -> dict[str, str]:
        """Where it is in the table."""
        return {PARTITION_KEY: outcomes(self.delivery_key, self.status), SORT_KEY: self.position}

    @property
    def position(self) -> str:
        """Its place among the client's outcomes, by time; unique, because each attempt has a separate token."""
        digest = hashlib.sha256(f"{self.delivery_key}#{self.entry}#{self.token}".encode(errors="surrogatepass"))
        return f"{self.at}#{digest.hexdigest()[:12]}"

    @property
    def facts(self) -> list[str]:
        """The keys that find it over all clients: the last part of its names, and all checksums of its content."""
        known = (*self.content, self.checksum or "", self.source_checksum or "")
        sums = [one.split(":")[1] for one in known if ":" in one]
        sums += [base64.b64encode(bytes.fromhex(one)).decode() for one in self.digests.values()]
        names = [self.file_name, *([self.delivered_name] if self.delivered_name else [])]
        return list(dict.fromkeys([*map(fact_of_name, names), *map(fact_of_sum, [*sums, self.source_etag])]))

    @classmethod
    def of(cls, entry: Entry, *, attempts: int, status: str = "") -> Recorded:
        """From the entry as its outcome leaves it; ``status`` if it is not the entry's own."""
        return cls(
            delivery_key=entry.delivery_key,
            at=entry.timestamp,
            status=status or entry.status.value,
            file_name=entry.file_name,
            file_path=entry.file_path,
            size=entry.size,
            configuration=entry.configuration,
            run=str(entry.owned_by),
            attempts=attempts,
            entry=entry.identity,
            token=entry.fencing_token,
            source_etag=entry.source_etag,
            version_id=entry.version_id,
            content=entry.content.checksums,
            delivered_to=entry.delivered_to,
            delivered_name=entry.delivered_name,
            checksum=entry.checksum,
            source_checksum=entry.source_checksum,
            delivered_size=entry.delivered_size,
            digests=entry.digests,
            verified_by=entry.verified_by,
            error=entry.last_error,
            modified=entry.source_modified,
            registered_at=entry.created_at,
            armed_at=entry.armed_at,
            began_at=entry.attempt_started_at,
            asked_by=entry.asked_by,
            asked_why=entry.asked_why,
            tries=entry.tries,
        )

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Recorded:
        """From a deserialized DynamoDB item."""
        return cls(
            delivery_key=item["deliveryKey"],
            at=item["timestamp"],
            status=item["status"],
            file_name=item["fileName"],
            file_path=item["filePath"],
            size=int(item["sizeBytes"]),
            configuration=item["configuration"],
            run=item["ownedBy"],
            attempts=int(item["attempts"]),
            entry=item["entry"],
            token=int(item["fencingToken"]),
            source_etag=item["sourceETag"],
            version_id=item.get("versionId"),
            content=tuple(item.get("contentChecksums", ())),
            delivered_to=item.get("deliveredTo"),
            delivered_name=item.get("deliveredName"),
            checksum=item.get("checksum"),
            source_checksum=item.get("sourceChecksum"),
            delivered_size=int(item["deliveredBytes"]) if "deliveredBytes" in item else None,
            digests=item.get("digests", {}),
            verified_by=item.get("verifiedBy"),
            error=item.get("lastError"),
            modified=item.get("sourceModified"),
            registered_at=item.get("createdAt"),
            armed_at=item.get("armedAt"),
            began_at=item.get("attemptStartedAt"),
            asked_by=item.get("askedBy"),
            asked_why=item.get("askedWhy"),
            tries=tuple(item.get("tries", ())),
        )

    def writes(self, table: str, days: int) -> list[Write]:
        """The items that keep it for so many days: the item itself, and those that lead to it."""
        expires = int(datetime.fromisoformat(self.at).timestamp()) + days * _DAY
        leads = {"recordedIn": self.key[PARTITION_KEY], "recordedAs": self.position, TTL_ATTRIBUTE: expires}
        named = {PARTITION_KEY: names(self.delivery_key), SORT_KEY: f"{in_key(self.file_name)}#{self.position}"}
        led = [named, *({PARTITION_KEY: known(fact), SORT_KEY: self.position} for fact in self.facts)]
        return [
            _once(table, self.key, {**self._attributes, TTL_ATTRIBUTE: expires}),
            *(_once(table, key, leads) for key in led),
        ]

    @property
    def _attributes(self) -> dict[str, Any]:
        return {
            "deliveryKey": self.delivery_key,
            "timestamp": self.at,
            "status": self.status,
            "fileName": self.file_name,
            "filePath": self.file_path,
            "sizeBytes": self.size,
            "configuration": self.configuration,
            "ownedBy": self.run,
            "attempts": self.attempts,
            "entry": self.entry,
            "fencingToken": self.token,
            "sourceETag": self.source_etag,
            "versionId": self.version_id,
            "contentChecksums": list(self.content) or None,
            "deliveredTo": self.delivered_to,
            "deliveredName": self.delivered_name,
            "checksum": self.checksum,
            "sourceChecksum": self.source_checksum,
            "deliveredBytes": self.delivered_size,
            "digests": dict(self.digests) or None,
            "verifiedBy": self.verified_by,
            "lastError": self.error,
            "sourceModified": self.modified,
            "createdAt": self.registered_at,
            "armedAt": self.armed_at,
            "attemptStartedAt": self.began_at,
            "askedBy": self.asked_by,
            "askedWhy": self.asked_why,
            "tries": list(self.tries) or None,
        }


def outcomes(delivery_key: str, status: str) -> str:
    """The partition of a client's deliveries, or of its failures, by time."""
    return f"record#{status}#{delivery_key}"


def names(delivery_key: str) -> str:
    """The partition that leads to a client's outcomes by file name."""
    return f"record#name#{delivery_key}"


def known(fact: str) -> str:
    """The partition that leads to outcomes over all clients by :func:`fact_of_name` or :func:`fact_of_sum`."""
    return f"record#known#{hashlib.sha256(fact.encode(errors='surrogatepass')).hexdigest()[:32]}"


def fact_of_name(name: str) -> str:
    """A file's name without its folders, whatever its case."""
    return f"name:{name.rpartition('/')[2].casefold()}"


def fact_of_sum(value: str) -> str:
    """A checksum as S3 and the destinations write it, whatever its algorithm; or an ETag."""
    return f"sum:{value}"


def in_key(name: str) -> str:
    """The beginning of a file's name that fits into a sort key."""
    return name.encode(errors="surrogatepass")[:_LONGEST_NAME].decode(errors="ignore")


def _once(table: str, key: Mapping[str, str], attributes: Mapping[str, Any]) -> Write:
    there = {name: value for name, value in attributes.items() if value is not None}
    return Write.update(table, key, there, Attr(SORT_KEY).not_exists())
