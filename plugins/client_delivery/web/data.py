"""The page's questions to the ledger: bounded, and never a Scan (R3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from client_delivery.calendar.expectation import State as Line
from client_delivery.calendar.expectation import words_of
from client_delivery.ledger.acknowledgements import Acknowledged, Acknowledgements
from client_delivery.ledger.acts import Act, Acts
from client_delivery.ledger.board import Board, Standing
from client_delivery.ledger.changes import Change, Changes
from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.expectations import Expectations, Known
from client_delivery.ledger.history import MOST, History, Page
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.mail_marks import key_of_mark
from client_delivery.ledger.months import Month, Months
from client_delivery.ledger.reads import Reader
from client_delivery.ledger.record import Recorded
from client_delivery.ledger.schema import SORT_KEY
from client_delivery.ledger.sets import FileSet, Sets
from client_delivery.ledger.table import Ledger
from client_delivery.runtime.settings import Settings
from client_delivery.web.actions import MOST_FILES
from client_delivery.web.progress import Progress, of_all

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MOST_ENTRIES = 500
_MOST_WATCHED = 64
"""Clients whose progress is shown on the board at once: a query each."""
_PARALLEL = 16
_MOST_LIVES = 50
"""Lives of runs whose e-mails are looked up for one file."""


@dataclass(frozen=True, slots=True)
class Mailed:
    """One e-mail of a run."""

    kind: str
    at: str
    life: str
    contacts: tuple[str, ...]
    """Empty where an older release sent it."""


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a client's files of one name."""

    recorded: Sequence[Recorded] = ()
    entries: Sequence[Entry] = ()
    mails: Sequence[Mailed] = ()
    acknowledged: Sequence[Acknowledged] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """Files that are to be sent again."""

    files: Mapping[str, tuple[str, int]]
    """Name and bytes, by the sort key of the entry."""
    more: bool
    """Whether there are too many for one action."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(size for _, size in self.files.values())


@dataclass(frozen=True, slots=True)
class Expected:
    """One line of what is expected of a client."""

    words: str
    last_due: str
    next_due: str | None
    """None until a run has looked that knows how to say it."""
    late: bool
    """Whether what was due last is missing still."""
    acknowledged: bool

    @classmethod
    def of(cls, line: str, state: Line, upcoming: datetime | None) -> Expected:
        """From what the ledger knows; the line as :attr:`~client_delivery.calendar.expectation.Expectation.key`."""
        due = _iso(upcoming) if upcoming else None
        return cls(words_of(line), _iso(state.due), due, state.missing, state.acknowledged)

    def in_words(self) -> dict[str, Any]:
        """As CSV and JSON have it."""
        return {
            "expected": self.words,
            "lastDue": self.last_due,
            "nextDue": self.next_due,
            "late": self.late,
            "acknowledged": self.acknowledged,
        }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def is_held(entry: Entry) -> bool:
    """Whether it failed and waits for somebody who decides on it."""
    return entry.status is Status.FAIL and not (entry.active or entry.open or entry.dismissed)


class Data:
    """One request's view of the ledger's table."""

    def __init__(
        self, dynamodb: DynamoDBClient | None = None, table: str | None = None, record_days: int | None = None
    ) -> None:
        self._record_days = record_days
        self._dynamodb = dynamodb or _client()
        self._table = table or Settings.from_environment().ledger_table
        self._reader = Reader(self._dynamodb, self._table)
        self._history = History(self._dynamodb, self._table)
        self._months = Months(self._dynamodb, self._table)
        self._acts = Acts(self._dynamodb, self._table)
        self._changes = Changes(self._dynamodb, self._table)
        self._board = Board(self._dynamodb, self._table)
        self._standing: dict[str, Standing] = {}

    def standings(self) -> dict[str, Standing]:
        """How all clients stand."""
        return self._board.all()

    def standing(self, name: str) -> Standing:
        """How one client stands."""
        if name not in self._standing:
            self._standing[name] = self._board.of(name)
        return self._standing[name]

    def outcomes(self, key: str, question: Mapping[str, str], limit: int = 50) -> Page:
        """A client's files: by what their name begins with, or by time and status."""
        if not key:
            return Page([])
        after = question["after"] or None
        if question["begins"]:
            page = self._history.of_name(key, question["begins"], after=after, limit=limit)
            status = question["status"]
            return Page([one for one in page.found if not status or one.status == status], page.next)
        return self._history.of_client(
            key,
            status=question["status"] or None,
            since=question["since"],
            until=question["until"],
            after=after,
            limit=limit,
        )

    def anywhere(self, words: str) -> list[Recorded]:
        """Outcomes of all clients by file name or checksum."""
        return self._history.anywhere(words)

    def how_far(self, keys: Iterable[str]) -> dict[str, Progress]:
        """Of these clients' runs that are under way; only some, if there are very many."""
        some = list(islice((key for key in keys if key), _MOST_WATCHED))
        if not some:
            return {}
        with ThreadPoolExecutor(min(_PARALLEL, len(some))) as pool:
            entries = pool.map(lambda key: list(islice(self._ledger(key).each_open(), _MOST_ENTRIES)), some)
            return {key: of_all(found) for key, found in zip(some, entries, strict=True)}

    def months(self, key: str, now: datetime) -> list[Month]:
        """What was delivered in this month and in the twelve before."""
        return self._months.of(key, f"{now.year - 1}-{now.month:02d}") if key else []

    def expected(self, key: str) -> list[Expected]:
        """How each line of what is expected of a client stood when a run last looked."""
        known = Expectations(self._dynamodb, self._table, key).known() if key else Known()
        return [Expected.of(line, state, known.upcoming.get(line)) for line, state in known.states.items()]

    def changes(self, name: str, after: str = "") -> tuple[list[Change], str | None]:
        """Some of how a configuration has changed, newest first, and where there may be more."""
        return self._changes.of(name, after=after or None)

    def acts(self, key: str) -> list[Act]:
        """What people did to a client, newest first."""
        return self._acts.of(key) if key else []

    def note_act(self, key: str, act: Act) -> None:
        """Keep an act on this page that no run will note."""
        if key:
            self._acts.note(key, act, self._record_days or Settings.from_environment().record_days)

    def in_hand(self, key: str) -> list[Entry]:
        """A client's files that are under way or held; only some, if there are very many."""
        ledger = self._ledger(key)
        return [*islice(ledger.each_open(), _MOST_ENTRIES), *islice(ledger.each_held(), _MOST_ENTRIES)]

    def before_the_record(self, key: str, after: str) -> tuple[list[Entry], str | None]:
        """Some of what was dealt with before there was a record, newest first, and where there may be more."""
        entries, more = self._ledger(key).unrecorded(after or None) if key else ([], None)
        return sorted(entries, key=lambda entry: entry.timestamp, reverse=True), more

    def file(self, key: str, name: str, entry: str = "") -> Life:
        """What is known of a client's files of one name; of one from before the record, by its entry's sort key."""
        if not key:
            return Life()
        recorded = list(self._history.of_file(key, name).found)
        there = self._ledger(key).find([*(one.entry for one in recorded), *([entry] if entry else [])])
        there.update((one.identity, one) for one in self.in_hand(key))
        entries = [one for one in there.values() if one.file_name == name]
        lives = [one.run for one in recorded][-_MOST_LIVES:]
        acknowledged = Acknowledgements(self._dynamodb, self._table, key).of(one.position for one in recorded)
        return Life(recorded, entries, self._mails(key, lives), list(acknowledged.values()))

    def _mails(self, key: str, lives: Sequence[str]) -> list[Mailed]:
        """The e-mails of these lives of runs."""
        found = []
        for item in self._reader.items(key_of_mark(key, life) for life in dict.fromkeys(lives)):
            life = item[SORT_KEY].partition("#")[2]
            for kind in ("started", "finished"):
                if kind in item:
                    found.append(Mailed(kind, item[kind].partition(" ")[0], life, tuple(item.get(f"{kind}To", ()))))
        return found

    def chosen(self, key: str, question: Mapping[str, str]) -> Chosen:
        """What was delivered to a client, as a question has it: of each name the newest, for they arrive under it."""
        newest: dict[str, Recorded] = {}
        after: str | None = ""
        while after is not None and len(newest) <= MOST_FILES:
            page = self.outcomes(key, {**question, "status": Status.SUCCESS, "after": after}, limit=MOST)
            for one in page.found:
                if one.file_name not in newest or one.at > newest[one.file_name].at:
                    newest[one.file_name] = one
            after = page.next
        found = sorted(newest.values(), key=lambda one: one.file_name)
        files = {one.entry: (one.file_name, one.size) for one in found}
        return Chosen(files, more=after is not None or len(files) > MOST_FILES)

    def of_whole_run(self, key: str, run_id: str) -> Chosen:
        """What a run took on, whatever has become of it since: of each name the newest."""
        ledger = self._ledger(key)
        parts = ledger.manifest.parts(run_id)
        etags = [etag for part, some in parts.items() if part.isdigit() for etag in some]
        newest: dict[str, Entry] = {}
        for entry in ledger.find(etags[: MOST_FILES + 1]).values():
            before = newest.get(entry.file_name)
            if not entry.active and (before is None or entry.timestamp > before.timestamp):
                newest[entry.file_name] = entry
        files = {entry.identity: (entry.file_name, entry.size) for _, entry in sorted(newest.items())}
        return Chosen(files, more=len(etags) > MOST_FILES)

    def of_run(self, key: str, dag_id: str, run_id: str) -> list[Entry]:
        """What one run has, or last had, in hand."""
        entries = self._ledger(key).of_run(RunRef(run_id, 0, dag_id))
        return sorted(entries, key=lambda entry: entry.file_name)[:_MOST_ENTRIES]

    def sets_of(self, entries: Iterable[Entry]) -> list[FileSet]:
        """The sets that these files belong to, and beside which something is to arrive."""
        places: dict[tuple[str, str], set[str]] = {}
        for entry in entries:
            if entry.set_id:
                place = entry.bucket, entry.key.removesuffix(entry.file_name)
                places.setdefault(place, set()).add(entry.set_id)
        found = [
            one for place, ids in places.items() for one in Sets(self._dynamodb, self._table, *place).find(ids).values()
        ]
        return sorted(found, key=lambda one: one.id)

    def _ledger(self, key: str) -> Ledger:
        return Ledger(self._dynamodb, self._table, key)


@cache
def _client() -> DynamoDBClient:
    from client_delivery.access.aws import dynamodb_client

    return dynamodb_client(patient=False)
