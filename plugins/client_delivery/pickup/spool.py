"""Where a look at a pick-up keeps what it found until it has seen all of it: on the disk, however many files wait.

A run can only decide on a file when it knows every other file of the same content (R5.7). So the files are put into a
temporary database, which SQLite keeps in memory while it is small and in an unlinked file beyond (SQLite
documentation, *In-Memory Databases*, "Temporary Databases": https://www.sqlite.org/inmemorydb.html). In memory remain
its cache and the files that are just being looked at; all files of *one* content are, at once.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from enum import StrEnum
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING, Any

from client_delivery.pickup.recognition import Group, Rules, Sighting, facts

if TYPE_CHECKING:
    from client_delivery.ledger.entry import Entry

_CACHE_KIB = 16 * 1024
_DIGEST = 16
"""Bytes of a fact's digest: among a million files two facts share one with a probability of 10⁻²⁶."""
_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE entries (kind TEXT, etag TEXT, entry BLOB, seen INTEGER DEFAULT 0, PRIMARY KEY (kind, etag));
CREATE TABLE hints (hint BLOB PRIMARY KEY, files INTEGER) WITHOUT ROWID;
CREATE TABLE unsure (number INTEGER PRIMARY KEY, sighting BLOB);
CREATE TABLE facts (fact BLOB PRIMARY KEY, content INTEGER) WITHOUT ROWID;
CREATE TABLE sightings (number INTEGER PRIMARY KEY, content INTEGER, sighting BLOB);
"""


class Kind(StrEnum):
    """Why an entry of the ledger is in the spool."""

    OPEN = "open"
    HELD = "held"
    ASKED_FOR = "asked for"


class Spool:
    """What one look has found so far. To be closed, which frees its disk."""

    def __init__(self) -> None:
        # Without a name it is temporary. The triggerer opens it in one thread, and no other uses it.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._number = 0
        self._indexed = False

    def close(self) -> None:
        """Forget all of it."""
        self._db.close()

    # -- entries of the ledger ---------------------------------------------------------------------------------------

    def keep(self, kind: Kind, entries: Iterable[Entry]) -> int:
        """Put entries aside; returns how many."""
        kept = 0
        for kept, entry in enumerate(entries, start=1):  # noqa: B007
            row = (kind, entry.identity, _packed(entry))
            self._db.execute("INSERT OR REPLACE INTO entries (kind, etag, entry) VALUES (?, ?, ?)", row)
        return kept

    def has(self, kind: Kind, etags: Iterable[str]) -> set[str]:
        """Those of the sort keys that were put aside."""
        find = "SELECT 1 FROM entries WHERE kind = ? AND etag = ?"
        return {etag for etag in etags if self._db.execute(find, (kind, etag)).fetchone()}

    def see(self, kind: Kind, etags: Iterable[str]) -> None:
        """These have been dealt with."""
        rows = [(kind, etag) for etag in etags]
        self._db.executemany("UPDATE entries SET seen = 1 WHERE kind = ? AND etag = ?", rows)

    def entries(self, kind: Kind) -> Iterator[tuple[Entry, bool]]:
        """What was put aside, and whether it has been dealt with."""
        for packed, seen in self._db.execute("SELECT entry, seen FROM entries WHERE kind = ?", (kind,)):
            yield _unpacked(packed), bool(seen)

    # -- files of the pick-up ----------------------------------------------------------------------------------------

    def put_off(self, sighting: Sighting, hints: Iterable[str]) -> None:
        """A file of whose content too little is known yet, with what it may have in common with others."""
        self._number += 1
        self._db.execute("INSERT INTO unsure VALUES (?, ?)", (self._number, _packed(sighting)))
        rows = [(_digest(hint),) for hint in hints]
        self._db.executemany("INSERT OR IGNORE INTO hints VALUES (?, 0)", rows)
        self._db.executemany("UPDATE hints SET files = files + 1 WHERE hint = ?", rows)

    def shared(self, hints: Iterable[str]) -> set[str]:
        """Those of the hints that several of the files have that were put off."""
        find = "SELECT 1 FROM hints WHERE files > 1 AND hint = ?"
        return {hint for hint in hints if self._db.execute(find, (_digest(hint),)).fetchone()}

    def unsure(self) -> Iterator[tuple[int, Sighting]]:
        """What was put off, with its place among all files."""
        for number, packed in self._db.execute("SELECT number, sighting FROM unsure ORDER BY number"):
            yield number, _unpacked(packed)

    def add(self, sighting: Sighting, rules: Rules, number: int | None = None) -> None:
        """A file of which all is known that can be; ``number``: its place, if it was put off."""
        if number is None:
            self._number = number = self._number + 1
        known = [_digest(fact) for fact in facts(sighting, rules)]
        content = number
        for fact in known:
            if row := self._db.execute("SELECT content FROM facts WHERE fact = ?", (fact,)).fetchone():
                content = row[0]
                break
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(fact, content) for fact in known])
        self._db.execute("INSERT INTO sightings VALUES (?, ?, ?)", (number, content, _packed(sighting)))

    def groups(self, rules: Rules) -> Iterator[Group]:
        """The files by their content, as :func:`~client_delivery.pickup.recognition.grouped` does it in memory."""
        if not self._indexed:
            self._db.execute("CREATE INDEX by_content ON sightings (content, number)")
            self._indexed = True
        rows = self._db.execute("SELECT content, sighting FROM sightings ORDER BY content, number")
        for _, files in groupby(rows, key=lambda row: row[0]):
            first, *others = (_unpacked(packed) for _, packed in files)
            group = Group.beginning_with(first, rules)
            group.sightings += others
            yield group


def _digest(fact: str) -> bytes:
    return blake2b(fact.encode(errors="surrogatepass"), digest_size=_DIGEST).digest()


def _packed(found: Entry | Sighting) -> bytes:
    return pickle.dumps(found, protocol=5)


def _unpacked(packed: bytes) -> Any:
    # It comes out of this process's own file, which has no name: nobody else can have written it.
    return pickle.loads(packed)  # noqa: S301
