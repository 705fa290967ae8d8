"""The ledger: every file ever handled, in DynamoDB (R3).

Reads are Query and BatchGetItem, writes are conditional, singly or a hundred in one transaction; there is no Scan
(R3.4). A write whose condition does not hold changes nothing: :class:`~client_delivery.transfer.contract.Superseded`
says so where one attempt speaks for one file, and the bulk operations return the entries that they did change.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, ConditionBase

from client_delivery.ledger.aliases import Aliases, aliases_of
from client_delivery.ledger.entry import HELD, MAX_ATTEMPTS, Entry, RunRef, Status, Wish, now, work_ref
from client_delivery.ledger.identity import Fingerprint
from client_delivery.ledger.manifest import Manifest
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.record import DEFAULT_DAYS, LET_GO, Recorded, Request
from client_delivery.ledger.schema import PARTITION_KEY, SORT_KEY
from client_delivery.ledger.writes import ConditionalWriter, Write
from client_delivery.runtime.events import as_json
from client_delivery.transfer.arrived import arrived
from client_delivery.transfer.contract import Receipt, Superseded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from client_delivery.ledger.file import PickupFile

_ERROR_LENGTH = 1000
_TRIED_LENGTH = 300
"""Characters of the reasons of earlier attempts."""
_MOST_DUPLICATE_NAMES = 100
_MOST_DUPLICATE_BYTES = 16_000
"""Of the 400 KB of an item; and of a hundred entries in one transaction, of its 4 MB."""
_MOST_LIVES = 48
"""DynamoDB compares with a hundred values at most, and each life has two spellings."""
_DELIVERED_PATIENCE = 180.0
GUARDED_BATCH = 99_999
"""Of what a guard holds: no task sends a batch of this number."""
_OUTCOME = (
    "lastError",
    "resumeState",
    "deliveredTo",
    "checksum",
    "verifiedBy",
    "removeSource",
    "finishedAt",
    "nameRefused",
    "replaced",
    "guarded",
    "reopened",
    "wanted",
    "letGo",
    "tries",
)
"""What an entry that is armed again forgets."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A file that shall be sent by one batch of a run."""

    file: PickupFile
    identity: str
    """The sort key, see :func:`client_delivery.ledger.identity.identity`."""
    batch: int
    duplicate_names: frozenset[str] = frozenset()
    """All other names of the content in this run: what was noted of them before is replaced."""
    wish: Wish | None = None
    """Who asked for it, if it was not who asked for the run."""


def _owned_by_life_of(owner: RunRef) -> ConditionBase:
    """By this life of the run, or one before it; never by a later one."""
    first = max(0, owner.generation - _MOST_LIVES)
    lives = (replace(owner, generation=life) for life in range(first, owner.generation + 1))
    return Attr("ownedBy").is_in([spelling for life in lives for spelling in life.spellings])


def _superseded(entry: Entry) -> Superseded:
    return Superseded(
        f"Attempt {entry.fencing_token} of {as_json(entry.file_name)} no longer owns the file: "
        "its ledger entry has been taken over, finished or set inactive since."
    )


def _some(found: Any) -> dict[str, Any] | None:
    """What is known of a dataclass, as an attribute; None for nothing."""
    return None if found is None else {name: value for name, value in asdict(found).items() if value is not None}


def shortened(names: Iterable[str]) -> set[str]:
    """As many names as an entry has room for: thousands of files can be equal, empty ones for example."""
    room, found = _MOST_DUPLICATE_BYTES, set[str]()
    for name in sorted(names)[:_MOST_DUPLICATE_NAMES]:
        room -= len(name.encode(errors="surrogatepass"))
        if room < 0:
            break
        found.add(name)
    return found


class Ledger:
    """The entries of one delivery key in the ledger table."""

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        delivery_key: str,
        *,
        request: Request | None = None,
        clock: Callable[[], str] = now,
    ) -> None:
        """``request``: who asked for what is armed here."""
        self._reader = Reader(dynamodb, table)
        self._writer = ConditionalWriter(dynamodb)
        self._table = table
        self.delivery_key = delivery_key
        self._request = request or Request()
        self._clock = clock
        self.aliases = Aliases(self._reader, self._writer, table, delivery_key)
        self.manifest = Manifest(self._reader, self._writer, table, delivery_key)

    # -- reading -----------------------------------------------------------------------------------------------------

    def open_entries(self, run: RunRef | None = None, batch: int | None = None) -> list[Entry]:
        """What is active, unfinished or not yet reported; of one run, in any life, or one batch of it, where given.

        The index lags behind by a moment: whoever acts on an entry does so with a conditional write.
        """
        return list(self._query(self.delivery_key, run, batch))

    def each_open(self) -> Iterator[Entry]:
        """The same of all runs, page by page."""
        return self._query(self.delivery_key)

    def open_now(self, run: RunRef) -> list[Entry]:
        """All that is open, as the table has it now: what the index shows, and what this run noted of itself."""
        etags = [*(entry.identity for entry in self.open_entries()), *self.manifest.etags(run.run_id)]
        return [entry for entry in self.find(etags).values() if entry.open]

    def of_run(self, run: RunRef, batch: int | None = None) -> list[Entry]:
        """What this run, or one batch of it, last had in hand, as the table has it now, whatever has become of it."""
        seen = [*self.open_entries(run, batch), *self.held_entries(run, batch)]
        etags = [*(entry.identity for entry in seen), *self.manifest.etags(run.run_id, batch)]
        return [
            entry
            for entry in self.find(etags).values()
            if entry.owned_by.is_same_run(run) and (batch is None or entry.batch == batch)
        ]

    def held_entries(self, run: RunRef | None = None, batch: int | None = None) -> list[Entry]:
        """What has failed and is closed (R5.4)."""
        return list(self._query(HELD + self.delivery_key, run, batch))

    def each_held(self) -> Iterator[Entry]:
        """The same of all runs, page by page."""
        return self._query(HELD + self.delivery_key)

    def unrecorded(self, after: str | None = None) -> tuple[list[Entry], str | None]:
        """Some of what was dealt with before there was a record (R3.8), and after which sort key there may be more.

        One request, which reads a MiB of the client's entries and what else is in its partition, by sort key.
        """
        items, last = self._reader.some_of_partition(
            self.delivery_key, after, "attribute_exists(finishedAt) AND attribute_not_exists(recordDays)"
        )
        return [Entry.from_item(item) for item in items], last

    def find(self, etags: Iterable[str]) -> dict[str, Entry]:
        """The entries with these sort keys, read consistently, a hundred per request.

        What else is in the partition is none, whoever asks for it: some sort keys come from people.
        """
        items = self._reader.items(self._key(etag) for etag in dict.fromkeys(etags))
        return {item[SORT_KEY]: Entry.from_item(item) for item in items if "fencingToken" in item}

    # -- a run takes files on ----------------------------------------------------------------------------------------

    def add(self, assignments: Sequence[Assignment], owner: RunRef, configuration: str) -> list[str]:
        """R5.1: a new entry for each file. Returns the sort keys added; one that exists by now is left alone."""
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
        """R5.10: a new entry for each file, failed from the beginning: at no moment could anybody send it.

        :param reasons: why, by sort key.

        Returns the sort keys added; one that exists by now is left alone.
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
                "lastError": reasons[item.identity][:_ERROR_LENGTH],
                "guarded": True,
                **self._request.attributes,
            }
            there = {name: value for name, value in attributes.items() if value is not None}
            put = Write.put(self._table, attributes, Attr(SORT_KEY).not_exists())
            groups[item.identity] = [put, *self._record(Entry.from_item(there), 0)]
        return self._writer.write_groups(groups)

    def resume(self, assignments: Sequence[Assignment], owner: RunRef, configuration: str) -> list[str]:
        """R5.5, R4.6: take on what a dead run left ``processing``; attempts and resume state are kept.

        An entry that this same run took on before (its task is retried, or the run was cleared while it was going)
        is taken on anew.
        """
        timestamp = self._clock()
        condition = Attr("status").eq(Status.PROCESSING) & (Attr("active").eq(False) | _owned_by_life_of(owner))
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
        """R5.3, R5.4: send once more, with fresh attempts, what ended in one of the ``allowed`` states.

        An entry that is active was armed, or taken on, by a run that is not over: it is rearmed only when an earlier
        life of the same run holds it, that is when the run has been cleared meanwhile.
        """
        timestamp = self._clock()
        earlier_life = _owned_by_life_of(owner) & ~Attr("ownedBy").is_in(owner.spellings)
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

    def want(self, entries: Iterable[Entry], owner: RunRef) -> list[str]:
        """Note that these shall be sent once more as soon as somebody drops them again, for their bytes are nowhere.

        Returns the sort keys of those for which that holds now: not what a run has in hand meanwhile.
        """
        wish = self._wish(owner)
        assign = {"wanted": _some(wish), "timestamp": wish.at}
        done = Attr("status").is_in([Status.SUCCESS, Status.FAIL])
        return self._writer.write_all({entry.identity: self._decided(entry, assign, done) for entry in entries})

    def let_go(self, entries: Iterable[Entry], owner: RunRef) -> list[str]:
        """Note, in the record as well, that these are not to be sent: what failed is not held any more (R5.9).

        A wish for one whose bytes are nowhere is forgotten. Returns the sort keys of those for which that holds now.
        """
        wish, groups = self._wish(owner), {}
        for entry in entries:
            assign = {"wanted": None, "openKey": None, "letGo": _some(wish), "timestamp": wish.at}
            after = replace(entry, timestamp=wish.at, asked_by=wish.by, asked_why=wish.why, owned_by=owner)
            recorded = Recorded.of(after, attempts=entry.send_attempts, status=LET_GO)
            groups[entry.identity] = [
                # So that it does not hold any more once it is written: that is how a lost response is found out.
                self._decided(
                    entry,
                    assign,
                    (Attr("status").eq(Status.FAIL) & Attr("letGo").not_exists()) | Attr("wanted").exists(),
                ),
                *recorded.writes(self._table, self._request.record_days),
            ]
        return self._writer.write_groups(groups)

    def _wish(self, owner: RunRef) -> Wish:
        return Wish(self._clock(), str(owner), self._request.by, self._request.why)

    def _decided(self, entry: Entry, assign: Mapping[str, Any], condition: ConditionBase) -> Write:
        """A change of what no run has in hand, and nobody has touched since it was read."""
        unchanged = Attr("status").eq(entry.status) & Attr("fencingToken").eq(entry.fencing_token)
        return self._update(entry.identity, assign, Attr("active").eq(False) & unchanged & condition)

    def note_duplicates(self, entry: Entry, names: Iterable[str], owner: RunRef) -> bool:
        """R5.7: remember that the content came under other names too, and reopen the entry so that this is reported.

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

    def adopt(self, entries: Sequence[Entry], origin: Ledger) -> list[str]:
        """R3.7: take over entries that the client's files have in another partition; returns the sort keys taken.

        Their history comes along. There they are closed, and whoever may still be at work on one is locked out.
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
            let_go = {"active": False, "openKey": None, "timestamp": timestamp, "adoptedBy": self.delivery_key}
            same = Attr("fencingToken").eq(entry.fencing_token) & Attr("status").eq(entry.status)
            # In one transaction: at no time both could send it, and at no time neither.
            if entry.identity in items and self._writer.write_together(
                [
                    Write.put(self._table, taken, Attr(SORT_KEY).not_exists()),
                    origin.update_of(entry.identity, let_go, same, add={"fencingToken": 1}),
                ]
            ):
                adopted.append(entry.identity)
        return adopted

    def _open_key(self, entry: Entry) -> str | None:
        if entry.open:
            return self.delivery_key
        return HELD + self.delivery_key if entry.status is Status.FAIL else None

    # -- one attempt at one file -------------------------------------------------------------------------------------

    def begin(self, entry: Entry, owner: RunRef) -> Entry:
        """Start an attempt: the fencing token grows, so every earlier attempt is locked out from here on (R3.5).

        Raises :class:`Superseded` if the entry is not this run's to send, or another attempt has begun meanwhile.
        """
        return self._change(
            entry,
            {
                "attemptId": uuid.uuid4().hex,
                "attemptStartedAt": self._clock(),
                "timestamp": self._clock(),
                "attemptBeganWith": arrived(entry.resume) or None,
            },
            self._held_by(entry) & Attr("ownedBy").is_in(owner.spellings),
            add={"fencingToken": 1},
        )

    def checkpoint(self, entry: Entry, state: Mapping[str, Any]) -> None:
        """Keep what a later attempt needs to resume (R6.7). Raises :class:`Superseded`."""
        self._change(entry, {"resumeState": json.dumps(state), "timestamp": self._clock()}, self._held_by(entry))

    def confirm(self, entry: Entry) -> None:
        """Make sure that this attempt still owns the file. Raises :class:`Superseded` if not (R3.5)."""
        current = self.find([entry.identity]).get(entry.identity)
        if (
            current is None
            or (current.fencing_token, current.status) != (entry.fencing_token, Status.PROCESSING)
            or not current.active
        ):
            raise Superseded(f"Attempt {entry.fencing_token} of {as_json(entry.file_name)} no longer owns the file.")

    def delivered(self, entry: Entry, receipt: Receipt, *, remove_source: bool = False) -> Entry:
        """R6.2, R3.8: the verified delivery, in the record as well; ``remove_source`` notes that the source is removed
        next (R5.6).

        The recipient has the file by now, so this is not given up at the first refusal: another attempt would send it
        again. Raises :class:`Superseded`.
        """
        content = self._learned(entry, receipt)
        timestamp = self._clock()
        assign = {
            "status": Status.SUCCESS,
            "contentChecksums": list(content.checksums) or None,
            "timestamp": timestamp,
            "finishedAt": timestamp,
            "deliveredTo": receipt.uri,
            "checksum": receipt.checksum,
            "verifiedBy": receipt.verified_by,
            "removeSource": remove_source or None,
            "lastError": None,
            "resumeState": None,
        }
        after = replace(
            entry,
            status=Status.SUCCESS,
            timestamp=timestamp,
            content=content,
            delivered_to=receipt.uri,
            checksum=receipt.checksum,
            verified_by=receipt.verified_by,
            remove_source=remove_source,
            last_error=None,
            resume=None,
        )
        return self._conclude(after, assign, entry.send_attempts + 1, patience=_DELIVERED_PATIENCE)

    def removed(self, entries: Iterable[Entry], archived_to: Callable[[Entry], str | None]) -> None:
        """R5.2, R5.8: note that the sources are gone from the pick-up, and where they are kept, to be sent again."""
        timestamp = self._clock()
        self._writer.write_all(
            {
                entry.identity: self._update(
                    entry.identity,
                    {"removedAt": timestamp, **({"archivedTo": uri} if (uri := archived_to(entry)) else {})},
                    Attr("fencingToken").eq(entry.fencing_token),
                )
                for entry in entries
            }
        )

    def _learned(self, entry: Entry, receipt: Receipt) -> Fingerprint:
        """What is known of the content by now: S3 need not have the checksum that another upload of it will have."""
        if receipt.crc64nvme is None:
            return entry.content
        computed = Fingerprint.of({"crc64nvme": receipt.crc64nvme}, receipt.size)
        if set(computed.checksums) <= set(entry.content.checksums):
            return entry.content
        file = replace(entry.source, content=computed)
        self.aliases.note(aliases_of(entry.identity, file, by_name="#" in entry.identity))
        return Fingerprint((*entry.content.checksums, *computed.checksums))

    def failed(self, entry: Entry, error: str, *, permanent: bool = False, name_refused: bool = False) -> Entry:
        """R6.2: one more failed attempt; the last one, or one that no retry can fix, ends in ``fail``.

        ``name_refused``: the destination cannot have a file of this name. Raises :class:`Superseded`.
        """
        timestamp, attempts = self._clock(), entry.send_attempts + 1
        this = {"began": entry.attempt_started_at, "at": timestamp, "error": error[:_TRIED_LENGTH]}
        tries = [*entry.tries, {name: value for name, value in this.items() if value is not None}][-MAX_ATTEMPTS:]
        assign: dict[str, Any] = {
            "timestamp": timestamp,
            "sendAttempts": attempts,
            "lastError": error[:_ERROR_LENGTH],
            "tries": tries,
        }
        if not permanent and attempts < MAX_ATTEMPTS:
            return self._change(entry, assign, self._held_by(entry))
        assign |= {"status": Status.FAIL, "finishedAt": timestamp, "nameRefused": name_refused or None}
        after = replace(
            entry,
            status=Status.FAIL,
            timestamp=timestamp,
            send_attempts=attempts,
            last_error=assign["lastError"],
            name_refused=name_refused,
            tries=tuple(tries),
        )
        return self._conclude(after, assign, attempts)

    def replaced(self, entry: Entry, error: str) -> Entry:
        """What was registered is not there any more, but another object in its place: no attempt failed.

        Raises :class:`Superseded`.
        """
        timestamp, why = self._clock(), error[:_ERROR_LENGTH]
        after = replace(entry, status=Status.FAIL, timestamp=timestamp, last_error=why, replaced=True)
        assign = {
            "status": Status.FAIL,
            "timestamp": timestamp,
            "finishedAt": timestamp,
            "lastError": why,
            "replaced": True,
        }
        return self._conclude(after, assign, entry.send_attempts + 1)

    def _conclude(self, after: Entry, assign: Mapping[str, Any], attempts: int, *, patience: float = 0) -> Entry:
        """An attempt's outcome and its record, both or neither. Raises :class:`Superseded`."""
        writes = [
            self._update(after.identity, assign, self._held_by(after)),
            *self._record(after, attempts),
        ]
        if not self._writer.change_together(writes, patience=patience):
            raise _superseded(after)
        return after

    def _record(self, after: Entry, attempts: int) -> list[Write]:
        return Recorded.of(after, attempts=attempts).writes(self._table, after.record_days or DEFAULT_DAYS)

    def hindered(self, entry: Entry, error: str) -> Entry:
        """Note what keeps an attempt from beginning or going on, where it does not count as one (R8.3).

        Raises :class:`Superseded`.
        """
        return self._change(
            entry, {"timestamp": self._clock(), "lastError": error[:_ERROR_LENGTH]}, self._held_by(entry)
        )

    # -- the end of a run --------------------------------------------------------------------------------------------

    def give_up(self, entries: Sequence[Entry], owner: RunRef, error: str) -> list[str]:
        """What is still ``processing`` when the last try is over ends in ``fail``: no attempt left an outcome."""
        timestamp = self._clock()
        assign = {
            "status": Status.FAIL,
            "timestamp": timestamp,
            "finishedAt": timestamp,
        }
        condition = self._sending() & _owned_by_life_of(owner)
        groups = {}
        for entry in entries:
            after = replace(
                entry,
                status=Status.FAIL,
                timestamp=timestamp,
                fencing_token=entry.fencing_token + 1,
                last_error=entry.last_error or error,
            )
            update = self._update(
                entry.identity, {**assign, "lastError": after.last_error}, condition, add={"fencingToken": 1}
            )
            groups[entry.identity] = [update, *self._record(after, entry.send_attempts)]
        return self._writer.write_groups(groups)

    def deactivate(self, entries: Sequence[Entry]) -> list[str]:
        """R4.2: set inactive, and lock out whoever may still be at it. The entries stay open: nothing is lost."""
        return self._writer.write_all(
            {
                entry.identity: self._update(
                    entry.identity,
                    {"active": False, "timestamp": self._clock()},
                    Attr("active").eq(True) & Attr("ownedBy").eq(str(entry.owned_by)),
                    add={"fencingToken": 1},
                )
                for entry in entries
            }
        )

    def close(self, entries: Sequence[Entry], owner: RunRef) -> list[str]:
        """R8.2: the end of what is terminal: inactive, and out of the index unless it failed (held)."""
        timestamp = self._clock()
        writes = {}
        for entry in entries:
            failed = entry.status is Status.FAIL
            assign = {
                "active": False,
                "timestamp": timestamp,
                "openKey": HELD + self.delivery_key if failed else None,
                # A failure left by a dead run is reported by, and makes red, the run that closes it (R8.3).
                "ownedBy": str(owner),
                "workRef": work_ref(owner.run_id, entry.batch),
            }
            condition = Attr("status").eq(entry.status) & Attr("fencingToken").eq(entry.fencing_token)
            writes[entry.identity] = self._update(entry.identity, assign, condition)
        return self._writer.write_all(writes)

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _key(self, etag: str) -> dict[str, str]:
        return {PARTITION_KEY: self.delivery_key, SORT_KEY: etag}

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
            "origin": _some(item.file.origin),
        }

    @staticmethod
    def _sending() -> ConditionBase:
        return Attr("status").eq(Status.PROCESSING) & Attr("active").eq(True)

    def _held_by(self, entry: Entry) -> ConditionBase:
        return self._sending() & Attr("fencingToken").eq(entry.fencing_token)

    def raw(self, etags: Iterable[str]) -> list[dict[str, Any]]:
        """The items as they are, for another partition to take over."""
        return list(self._reader.items(self._key(etag) for etag in dict.fromkeys(etags)))

    def update_of(
        self, etag: str, assign: Mapping[str, Any], condition: ConditionBase, *, add: Mapping[str, Any] | None = None
    ) -> Write:
        """A conditional change of one entry, for another partition that takes it over."""
        return self._update(etag, assign, condition, add=add)

    def _update(
        self, etag: str, assign: Mapping[str, Any], condition: ConditionBase, *, add: Mapping[str, Any] | None = None
    ) -> Write:
        return Write.update(self._table, self._key(etag), assign, condition, add=add)

    def _change(
        self,
        entry: Entry,
        assign: Mapping[str, Any],
        condition: ConditionBase,
        *,
        add: Mapping[str, Any] | None = None,
        patience: float = 0,
    ) -> Entry:
        item = self._writer.change(self._update(entry.identity, assign, condition, add=add), patience=patience)
        if item is None:
            raise _superseded(entry)
        return Entry.from_item(item)

    def _query(self, open_key: str, run: RunRef | None = None, batch: int | None = None) -> Iterator[Entry]:
        prefix = "" if run is None else work_ref(run.run_id, batch)
        entries = (Entry.from_item(item) for item in self._reader.indexed(open_key, prefix))
        return (entry for entry in entries if run is None or entry.owned_by.is_same_run(run))
