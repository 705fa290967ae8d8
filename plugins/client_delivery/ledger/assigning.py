"""A run takes files on: new entries, entries sent again, and those that another run or partition left (R5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr

from client_delivery.ledger.arrival import OWN_NAME, ArrivalName
from client_delivery.ledger.entry import HELD, Entry, Status, Wish, work_ref
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.partition import ERROR_LENGTH, Partition, attribute_of, owned_by_life_of
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import Write

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile

_MOST_DUPLICATE_NAMES = 100
_MOST_DUPLICATE_BYTES = 16_000
"""Of the 400 KB of an item; and of a hundred entries in one transaction, of its 4 MB."""
GUARDED_BATCH = 99_999
"""The batch of files that a guard holds: no task sends a batch of this number."""
_OUTCOME = (
    "lastError",
    "resumeState",
    "deliveredTo",
    "checksum",
    "verifiedBy",
    "sourceChecksum",
    "deliveredBytes",
    "removeSource",
    "finishedAt",
    "digests",
    "sidecarAt",
    "nameRefused",
    "replaced",
    "guarded",
    "reopened",
    "wanted",
    "dismissed",
    "tries",
)
"""The attributes that an entry loses when it is armed again."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A file that one batch of a run is to send."""

    file: PickupFile
    identity: str
    """The sort key, see :func:`client_delivery.ledger.identity.identity`."""
    batch: int
    duplicate_names: frozenset[str] = frozenset()
    """All other names of the content in this run; they replace those noted before."""
    wish: Wish | None = None
    """Who asked for it, if not the person who asked for the run."""
    name: ArrivalName = OWN_NAME
    set_id: str | None = None


def shortened(names: Iterable[str]) -> set[str]:
    """As many names as an entry has room for: thousands of files can be equal, empty ones for example."""
    room, found = _MOST_DUPLICATE_BYTES, set[str]()
    for name in sorted(names)[:_MOST_DUPLICATE_NAMES]:
        room -= len(name.encode(errors="surrogatepass"))
        if room < 0:
            break
        found.add(name)
    return found


class Assigning(Partition):
    """How a run gets entries to send."""

    def add(self, assignments: Sequence[Assignment], owner: RunRef, configuration: str) -> list[str]:
        """R5.1: a new entry for each file. Returns the sort keys added; an entry that exists by now stays unchanged."""
        timestamp = self._clock()
        return self._writer.write_all(
            {
                item.identity: Write.put(
                    self._table,
                    {
                        **self._key(item.identity),
                        **self._assigned(item, owner, configuration, timestamp),
                        "status": Status.PROCESSING,
                        "sendAttempts": 0,
                        "fencingToken": 0,
                        "armedBy": str(owner),
                        "armedAt": timestamp,
                        "createdAt": timestamp,
                        **self._request.attributes,
                    },
                    Attr(SORT_KEY).not_exists(),
                )
                for item in assignments
            }
        )

    def hold(
        self, assignments: Sequence[Assignment], reasons: Mapping[str, str], owner: RunRef, configuration: str
    ) -> list[str]:
        """R5.10: a new entry for each file, failed from the start: at no moment can any run send it.

        :param reasons: why, by sort key.

        Returns the sort keys added; an entry that exists by now is left unchanged.
        """
        timestamp = self._clock()
        groups: dict[str, list[Write]] = {}
        for item in assignments:
            attributes = {
                **self._key(item.identity),
                **self._assigned(item, owner, configuration, timestamp),
                "status": Status.FAIL,
                "sendAttempts": 0,
                "fencingToken": 0,
                "armedBy": str(owner),
                "armedAt": timestamp,
                "createdAt": timestamp,
                "finishedAt": timestamp,
                "lastError": reasons[item.identity][:ERROR_LENGTH],
                "guarded": True,
                **self._request.attributes,
            }
            there = {name: value for name, value in attributes.items() if value is not None}
            put = Write.put(self._table, attributes, Attr(SORT_KEY).not_exists())
            groups[item.identity] = [put, *self._record(Entry.from_item(there), 0)]
        return self._writer.write_groups(groups)

    def resume(self, assignments: Sequence[Assignment], owner: RunRef, configuration: str) -> list[str]:
        """R5.5, R4.6: take on what a dead run left ``processing``; attempts and resume state are kept.

        An entry that this same run took on before (its task is retried, or the run was cleared while it was under way)
        is taken on again.
        """
        timestamp = self._clock()
        condition = Attr("status").eq(Status.PROCESSING) & (Attr("active").eq(False) | owned_by_life_of(owner))
        return self._writer.write_all(
            {
                item.identity: self._update(
                    item.identity,
                    self._assigned(item, owner, configuration, timestamp),
                    condition,
                    add={"fencingToken": 1},
                )
                for item in assignments
            }
        )

    def rearm(
        self, assignments: Sequence[Assignment], owner: RunRef, configuration: str, allowed: Sequence[Status]
    ) -> list[str]:
        """R5.3, R5.4: send entries in one of the ``allowed`` final states again, with fresh attempts.

        An entry that is active was armed, or taken on, by a run that is not over: it is rearmed only when an earlier
        life of the same run holds it, that is when the run has been cleared meanwhile.
        """
        timestamp = self._clock()
        earlier_life = owned_by_life_of(owner) & ~Attr("ownedBy").is_in(owner.spellings)
        condition = Attr("status").is_in(list(allowed)) & (Attr("active").eq(False) | earlier_life)
        fresh = {
            "status": Status.PROCESSING,
            "sendAttempts": 0,
            "armedBy": str(owner),
            "armedAt": timestamp,
            **dict.fromkeys(_OUTCOME),
        }
        return self._writer.write_all(
            {
                item.identity: self._update(
                    item.identity,
                    {
                        **self._assigned(item, owner, configuration, timestamp),
                        **fresh,
                        **self._request.of(item.wish).attributes,
                    },
                    condition,
                    add={"fencingToken": 1},
                )
                for item in assignments
            }
        )

    def note_duplicates(self, entry: Entry, names: Iterable[str], owner: RunRef) -> bool:
        """R5.7: note that the content came under other names too, and reopen the entry so that this is reported.

        False if the entry has changed meanwhile: the caller then only logs.
        """
        known = entry.duplicate_names if entry.open else frozenset[str]()
        assign: dict[str, Any] = {
            "timestamp": self._clock(),
            "openKey": self.delivery_key,
            "ownedBy": str(owner),
            "workRef": work_ref(owner.run_id, entry.batch),
            "duplicateNames": shortened({*known, *names}) or None,
            "reopened": entry.reopened or not entry.open or None,
        }
        condition = Attr("status").eq(entry.status) & Attr("fencingToken").eq(entry.fencing_token)
        return bool(self._writer.write_all({entry.identity: self._update(entry.identity, assign, condition)}))

    def adopt(self, entries: Sequence[Entry], origin: Partition) -> list[str]:
        """R3.7: take over entries that the client's files have in another partition; returns the sort keys taken.

        Their history comes along. There they are closed, and an attempt that still works on one is locked out.
        """
        items = {item[SORT_KEY]: item for item in origin.raw(entry.identity for entry in entries)}
        timestamp = self._clock()
        adopted: list[str] = []
        for entry in entries:
            taken = {
                **items.get(entry.identity, {}),
                PARTITION_KEY: self.delivery_key,
                "active": False,
                "fencingToken": entry.fencing_token + 1,
                "openKey": self._open_key(entry),
                "timestamp": timestamp,
            }
            given_away = {"active": False, "openKey": None, "timestamp": timestamp, "adoptedBy": self.delivery_key}
            same = Attr("fencingToken").eq(entry.fencing_token) & Attr("status").eq(entry.status)
            # In one transaction: at no time both could send it, and at no time neither.
            if entry.identity in items and self._writer.write_together(
                [
                    Write.put(self._table, taken, Attr(SORT_KEY).not_exists()),
                    origin.update_of(entry.identity, given_away, same, add={"fencingToken": 1}),
                ]
            ):
                adopted.append(entry.identity)
        return adopted

    def _open_key(self, entry: Entry) -> str | None:
        if entry.open:
            return self.delivery_key
        return HELD + self.delivery_key if entry.status is Status.FAIL else None

    def _assigned(self, item: Assignment, owner: RunRef, configuration: str, timestamp: str) -> dict[str, Any]:
        return {
            "active": True,
            "timestamp": timestamp,
            "fileName": item.file.name,
            "filePath": item.file.path,
            "sizeBytes": item.file.size,
            "sourceETag": item.file.etag,
            "sourceModified": item.file.last_modified.isoformat(),
            "configuration": configuration,
            "ownedBy": str(owner),
            "workRef": work_ref(owner.run_id, item.batch),
            "openKey": self.delivery_key,
            "duplicateNames": shortened(item.duplicate_names) or None,
            "contentChecksums": list(item.file.content.checksums) or None,
            "versionId": item.file.version_id,
            "origin": attribute_of(item.file.origin),
            "deliveredName": item.name.delivered,
            "namedBy": item.name.rule or None,
            "setId": item.set_id,
            "suffixes": item.name.suffixes or None,
        }
