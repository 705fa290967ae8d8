"""One file in the ledger: its attributes and its states.

An entry moves only along these edges, each of them one conditional write of the ledger (``table``)::

    (none) ─hold→ fail/active (by a guard)
    (none) ─add→ processing/active ─delivered→ success/active ─close→ success ─rearm→ processing/active
                     │   ▲    └─failed, attempts+1 ─ at MAX_ATTEMPTS→ fail/active ─close→ fail ─rearm→ processing/active
                     ▼   │
            (inactive, by the health check) ─resume→

A closed entry may also be *wanted* (its bytes are gone; once the file is dropped again, ``rearm`` sends it), and a
failed one *dismissed* (it no longer needs a person; only a new wish does ``rearm``). Neither changes the state.

While an entry is *open* (active, unfinished, or not yet reported to the client) the attribute ``openKey`` holds the
delivery key, and the sparse index finds it. A closed entry with status ``fail`` is *held*: ``openKey`` then is the
delivery key after ``held:``. A closed entry with status ``success`` has no ``openKey``, so that the cost of the
index depends on open work and not on the client's history (R3.4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from client_delivery.ledger.file import Kept, Origin, PickupFile
from client_delivery.ledger.identity import Fingerprint
from client_delivery.ledger.life import RunRef

MAX_ATTEMPTS = 3
"""Failed attempts after which an entry ends in ``fail`` (R6.2)."""


class Status(StrEnum):
    """The status of a file (R3.2)."""

    PROCESSING = "processing"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person decided about one file."""

    at: str
    """ISO 8601, UTC."""
    run: str
    """The life of the run that carried it out, as ``dag_id/run_id/generation``."""
    by: str | None = None
    """The user, as Airflow knows them."""
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger knows about one file. Attribute names in DynamoDB are those of R3.2, in camel case."""

    delivery_key: str
    identity: str
    """The sort key: the file's unique identification, see :func:`~client_delivery.ledger.identity.identity` (R3.1)."""
    status: Status
    active: bool
    file_name: str
    """The path below the pick-up's prefix."""
    file_path: str
    """``s3://bucket/key``."""
    send_attempts: int
    timestamp: str
    """Creation or last attribute change, ISO 8601 in UTC."""
    size: int
    source_etag: str
    """The ETag of the object to send now; another upload of the content may have a different one than the sort key."""
    source_modified: str
    """The object's LastModified, ISO 8601."""
    configuration: str
    armed_by: RunRef
    """The life that last set the entry to be sent with fresh attempts; the start e-mail depends on it (R7.2)."""
    owned_by: RunRef
    """The life that works on the entry now, or did last; the finish e-mail depends on it."""
    batch: int
    fencing_token: int = 0
    open: bool = True
    resume: Mapping[str, Any] | None = None
    last_error: str | None = None
    delivered_to: str | None = None
    checksum: str | None = None
    """Of the delivered bytes."""
    verified_by: str | None = None
    source_checksum: str | None = None
    """Of the file in the pick-up, if it was compressed or encrypted on its way; otherwise ``checksum`` is of both."""
    delivered_size: int | None = None
    """Delivered bytes, if the file was compressed or encrypted on its way; otherwise they are ``size``."""
    remove_source: bool = False
    """Delivered under bypass: this very object is never sent again (R5.6)."""
    duplicate_names: frozenset[str] = field(default_factory=frozenset)
    """Other names of the content in this run, which are therefore not sent (R5.7): a hundred at most,
    and those of this run only. All of them have an alias."""
    content: Fingerprint = field(default_factory=Fingerprint)
    """What S3 said about the content when the file was registered (R3.6)."""
    version_id: str | None = None
    """The object's version, if the bucket has versions: with it the content can be read again (R5.8)."""
    name_refused: bool = False
    """It failed because of its name: under another name the content is a new wish (R5.9)."""
    replaced: bool = False
    """It failed because another object had replaced it: that one is a new file, with a separate entry."""
    guarded: bool = False
    """A guard holds it, or it has no name to arrive under: nothing of it was sent (R5.10)."""
    reopened: bool = False
    """Delivered in an earlier run, and open again only to report names that were not sent (R5.7)."""
    created_at: str | None = None
    """When the file was registered."""
    armed_at: str | None = None
    """When it was last set to be sent with fresh attempts; not set by an older release."""
    attempt_started_at: str | None = None
    attempt_began_with: int = 0
    """Bytes that were at the destination from earlier attempts when this one began."""
    asked_by: str | None = None
    """Who triggered the run that armed it; None for a run by schedule."""
    asked_why: str | None = None
    record_days: int | None = None
    """How long the record of its outcome is kept; not set by an older release."""
    tries: tuple[Mapping[str, Any], ...] = ()
    """The failed attempts since it was armed: ``began``, ``at`` and ``error`` of each."""
    removed_at: str | None = None
    """When the delivered object was last removed from the pick-up."""
    archived_to: str | None = None
    """``s3://bucket/key`` of the copy in the pick-up's archive (R5.8); kept when it is armed again."""
    origin: Origin | None = None
    """Where the bytes are read, if not in the pick-up: somebody asked to have it sent again."""
    wanted: Wish | None = None
    """It is to be sent again, but its bytes are gone: it is sent when somebody drops it again."""
    delivered_name: str | None = None
    """What it is called at the destination, fixed when it was registered; None: as in the pick-up."""
    set_id: str | None = None
    """The set with which it was registered (:mod:`client_delivery.ledger.sets`)."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Checksums of the bytes at the destination that the configuration asks for, in hexadecimal, by algorithm."""
    sidecar_at: str | None = None
    """When its checksum file had arrived."""
    named_by: str = ""
    """The rule that made that name, as a digest; empty if there was none, or no name could be made."""
    suffixes: str = ""
    """The suffixes at the end of that name: how the content was compressed and encrypted."""
    dismissed: Wish | None = None
    """It failed, and a person has decided that it is not to be sent: it is no longer held."""

    @property
    def arrives_as(self) -> str:
        """The path below the destination's place, as the recipient sees it."""
        return self.delivered_name or self.file_name

    def arrives_with(self, suffixes: str) -> str:
        """The same with these suffixes: a name is kept, but its suffixes say how the content is treated now."""
        return self.arrives_as.removesuffix(self.suffixes) + suffixes

    @property
    def size_there(self) -> int:
        """Bytes at the destination."""
        return self.size if self.delivered_size is None else self.delivered_size

    @property
    def bucket(self) -> str:
        """The pick-up's bucket."""
        return self.file_path.removeprefix("s3://").partition("/")[0]

    @property
    def key(self) -> str:
        """The object's key in the pick-up."""
        return self.file_path.removeprefix("s3://").partition("/")[2]

    @property
    def source(self) -> PickupFile:
        """The object in the pick-up that the entry stands for."""
        modified = datetime.fromisoformat(self.source_modified)
        return PickupFile(
            self.file_name,
            self.bucket,
            self.key,
            self.source_etag,
            self.size,
            modified,
            version_id=self.version_id,
            content=self.content,
            origin=self.origin,
        )

    @property
    def kept(self) -> Kept:
        """Where its bytes may still be once it has been dealt with."""
        return Kept(self.source, self.archived_to)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Entry:
        """An entry from a deserialized DynamoDB item."""
        open_key = item.get("openKey", "")
        return cls(
            delivery_key=item["clientHNumber"],
            identity=item["etag"],
            status=Status(item["status"]),
            active=item["active"],
            file_name=item["fileName"],
            file_path=item["filePath"],
            send_attempts=int(item["sendAttempts"]),
            timestamp=item["timestamp"],
            size=int(item["sizeBytes"]),
            source_etag=item["sourceETag"],
            configuration=item["configuration"],
            armed_by=RunRef.parse(item["armedBy"]),
            owned_by=RunRef.parse(item["ownedBy"]),
            batch=batch_of(item["workRef"]),
            fencing_token=int(item["fencingToken"]),
            open=bool(open_key) and not open_key.startswith(HELD),
            source_modified=item["sourceModified"],
            resume=json.loads(item["resumeState"]) if "resumeState" in item else None,
            last_error=item.get("lastError"),
            delivered_to=item.get("deliveredTo"),
            checksum=item.get("checksum"),
            verified_by=item.get("verifiedBy"),
            source_checksum=item.get("sourceChecksum"),
            delivered_size=int(item["deliveredBytes"]) if "deliveredBytes" in item else None,
            remove_source=item.get("removeSource", False),
            duplicate_names=frozenset(item.get("duplicateNames", ())),
            content=Fingerprint(tuple(item.get("contentChecksums", ()))),
            version_id=item.get("versionId"),
            name_refused=item.get("nameRefused", False),
            replaced=item.get("replaced", False),
            guarded=item.get("guarded", False),
            reopened=item.get("reopened", False),
            created_at=item.get("createdAt"),
            armed_at=item.get("armedAt"),
            attempt_started_at=item.get("attemptStartedAt"),
            attempt_began_with=int(item.get("attemptBeganWith", 0)),
            asked_by=item.get("askedBy"),
            asked_why=item.get("askedWhy"),
            record_days=int(item["recordDays"]) if "recordDays" in item else None,
            tries=tuple(item.get("tries", ())),
            removed_at=item.get("removedAt"),
            archived_to=item.get("archivedTo"),
            origin=Origin(**item["origin"]) if "origin" in item else None,
            wanted=Wish(**item["wanted"]) if "wanted" in item else None,
            dismissed=Wish(**item["dismissed"]) if "dismissed" in item else None,
            delivered_name=item.get("deliveredName"),
            named_by=item.get("namedBy", ""),
            set_id=item.get("setId"),
            digests=item.get("digests", {}),
            sidecar_at=item.get("sidecarAt"),
            suffixes=item.get("suffixes", ""),
        )


HELD = "held:"
"""Precedes the delivery key in ``openKey`` of a closed entry that failed."""


def work_ref(run_id: str, batch: int | None = None) -> str:
    """The index's sort key for the entries of one batch of a run; without a batch, the prefix of all the run's keys."""
    return f"{run_id}#" if batch is None else f"{run_id}#{batch:05d}"


def batch_of(ref: str) -> int:
    """The batch in a :func:`work_ref`."""
    return int(ref.rpartition("#")[2])


def now() -> str:
    """The ledger's ``timestamp``: ISO 8601, UTC, milliseconds."""
    return timestamp(datetime.now(UTC))


def timestamp(moment: datetime) -> str:
    """A moment as the ledger writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
