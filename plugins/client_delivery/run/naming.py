"""The name of each file of a run at the destination, decided before any file is registered.

A file without a name is held, with the reason: its own name does not match the pattern, the destination cannot have the
new one, another file of the run would get the same name, or an earlier, different file has it already. No recipient
discovers that one file has replaced another.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from client_delivery.config.delivered import delivered_name, naming_rule, sequences_of, sidecar_suffix
from client_delivery.config.name_template import NameNotMade
from client_delivery.ledger.arrival import OWN_NAME, ArrivalName, kept_name
from client_delivery.ledger.entry import timestamp
from client_delivery.ledger.given_names import GivenName
from client_delivery.run.by_done_file import ByDoneFile, arrival_of
from client_delivery.runtime.events import as_json
from client_delivery.transfer.contract import UnsafeName
from client_delivery.transfer.naming import require_deliverable

if TYPE_CHECKING:
    from client_delivery.ledger.numbers import Numbered
    from client_delivery.pickup.intake import Intake, Take
    from client_delivery.pickup.survey import Survey
    from client_delivery.run.again import Again
    from client_delivery.run.context import Run

MARK = "Held, for it has no name to arrive under: "
"""What the reason of every file begins with that could not be given a name."""
_PAGE = 500
_TRIAL = {"sequence": 1, "daily_sequence": 1}
_RENAME = "Rename it, or change the configuration; then trigger the DAG with 'Resend failed files'."
_SCHEMA = """
CREATE TABLE takes (
    identity TEXT PRIMARY KEY, source BLOB, modified TEXT, wish TEXT, line TEXT, again INTEGER, kept INTEGER, name BLOB,
    why TEXT
) WITHOUT ROWID;
CREATE INDEX by_name ON takes (name);
"""


class Named:
    """A survey whose files have their names. To be closed.

    :param only: the sort keys of those that are to be named; None for all.
    :param dry: say what would be, and take no number and no name for it.
    """

    def __init__(
        self, run: Run, survey: Survey | Again, *, only: Collection[str] | None = None, dry: bool = False
    ) -> None:
        self._run = run
        self._config = run.config
        self._survey = survey
        self._only = only
        self._rule = naming_rule(run.config)
        self._at = datetime.now(UTC)
        self._by_done_file = ByDoneFile(run, survey, dry=dry)
        # On the disk: there may be a million files, and each name is compared with every other.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        try:
            self._decide(dry=dry)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Free the disk. The survey stays open: its opener closes it."""
        self._db.close()

    def parts(self) -> Iterator[Intake]:
        """The decisions with the names, the same each time: what has none is held."""
        for intake in self._survey.parts():
            held, refused = list(intake.held), list(intake.refused)
            add, rearm = [], []
            for take in intake.add:
                named, why = self._named(take)
                if why is None:
                    add.append(named)
                else:
                    refused.append((take, why))
            for take in intake.rearm:
                named, why = self._named(take)
                if why is None or take.before is None:
                    rearm.append(named)
                else:
                    held.append((take.before, take.file))
            yield replace(intake, add=add, rearm=rearm, held=held, refused=refused)

    def reason(self, identity: str) -> str | None:
        """Why the file of this entry has no name; None if it has one."""
        row = self._db.execute("SELECT why FROM takes WHERE identity = ?", (identity,)).fetchone()
        return row[0] if row else None

    def still_nameless(self) -> str | None:
        """Why the first of the files to be sent again still has no name; None if all have one."""
        row = self._db.execute("SELECT why FROM takes WHERE again AND why IS NOT NULL ORDER BY source").fetchone()
        return row[0] if row else None

    def _named(self, take: Take) -> tuple[Take, str | None]:
        row = self._db.execute("SELECT name, why, kept FROM takes WHERE identity = ?", (take.identity,)).fetchone()
        if row is None or row[2]:
            return take, None
        name, why, _ = row
        if why is not None:
            return take, why
        made = _text(name)
        return replace(
            take, name=ArrivalName(None if made == take.file.name else made, self._rule, self._config.suffixes)
        ), None

    def _decide(self, *, dry: bool) -> None:
        for intake in self._survey.parts():
            self._note(intake.take)
            self._by_done_file.lines(take for take, _ in intake.refused)  # named when a person lets them through
        if sequences_of(self._config):
            self._number(dry=dry)
        if suffix := sidecar_suffix(self._config):
            self._hold_checksum_files(suffix)
        if self._config.deliver_as is None:
            return  # a suffix keeps different names different
        self._hold_twins()
        if not self._run.options.lets_through:
            self._hold_successors()
        if not dry:
            self._remember()

    def _note(self, takes: Iterable[Take]) -> None:
        rows = []
        counts = bool(sequences_of(self._config))
        wanted = [
            (take, take.name or kept_name(take.before, take.file, self._rule))
            for take in takes
            if self._only is None or take.identity in self._only
        ]
        lines = self._by_done_file.lines(take for take, kept in wanted if kept is None)
        for take, kept in wanted:
            file = take.file
            name, why = kept.delivered or file.name if kept else None, None
            wish = arrival_of(take)
            line = lines.get(wish)
            if kept is None:
                name, why = self._made(file.name, file.last_modified, self._at, _TRIAL if counts else None, line)
            modified = file.last_modified.astimezone(UTC).isoformat()
            again = take.before is not None
            source, kept_one = _bytes(file.name), kept is not None
            rows.append((take.identity, source, modified, wish, line, again, kept_one, _bytes(name), why))
        self._db.executemany("INSERT OR REPLACE INTO takes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _made(
        self, name: str, source_date: datetime, date: datetime, numbers: dict[str, int] | None, line: str | None
    ) -> tuple[str | None, str | None]:
        """The name, or why there is none."""
        try:
            if line is None and (trouble := self._by_done_file.trouble):
                raise trouble
            made = delivered_name(
                self._config, name, source_date=source_date, date=date, numbers=numbers, done_file=line
            )
            require_deliverable(self._config.destination, made + sidecar_suffix(self._config))
        except NameNotMade as error:
            return None, f"{MARK}{error}. {error.remedy or _RENAME}"
        except UnsafeName as error:
            return None, f"{MARK}deliver_as makes one that the destination cannot have. {error}"
        return made, None

    def _number(self, *, dry: bool) -> None:
        """Give numbers to the files without a name, in the order in which they came."""
        numbers = self._run.numbers
        give = numbers.would_give if dry else numbers.give
        day = f"{self._at.astimezone(ZoneInfo(self._config.timezone)):%Y-%m-%d}"
        self._db.execute(
            "CREATE TEMP TABLE ranked AS SELECT wish, identity, source, modified, line FROM takes "
            "WHERE NOT kept AND why IS NULL ORDER BY modified, source"
        )
        [count] = self._db.execute("SELECT count(*) FROM ranked").fetchone()
        size = max(1, count) if dry else _PAGE  # what is not given is not counted on by the next page
        for start in range(0, count, size):
            page = self._db.execute(
                "SELECT wish, identity, source, modified, line FROM ranked WHERE rowid > ? ORDER BY rowid LIMIT ?",
                (start, size),
            ).fetchall()
            given = give([row[0] for row in page], day=day, at=timestamp(self._at))
            self._db.executemany(
                "UPDATE takes SET name = ?, why = ? WHERE identity = ?",
                [self._renamed(given[wish], *row) for wish, *row in page],
            )

    def _renamed(
        self, number: Numbered, identity: str, source: bytes, modified: str, line: str | None
    ) -> tuple[bytes, str | None, str]:
        numbers = {"sequence": number.ever, "daily_sequence": number.of_day}
        at = datetime.fromisoformat(number.at)
        made, why = self._made(_text(source), datetime.fromisoformat(modified), at, numbers, line)
        return _bytes(made), why, identity

    def _hold_twins(self) -> None:
        """Two files of one run: both wait, but for one that has begun under the name."""
        twins = self._db.execute(
            "SELECT name FROM takes WHERE why IS NULL GROUP BY name HAVING count(*) > 1"
        ).fetchall()
        for (name,) in twins:
            rows = self._db.execute("SELECT source FROM takes WHERE name = ? ORDER BY source LIMIT 3", (name,))
            sources = ", ".join(as_json(_text(source)) for (source,) in rows)
            why = (
                f"{MARK}deliver_as makes the same name, {as_json(_text(name))}, of several files: {sources}. {_RENAME}"
            )
            self._db.execute("UPDATE takes SET why = ? WHERE name = ? AND NOT kept", (why, name))

    def _hold_checksum_files(self, suffix: str) -> None:
        """A file that would be called like the checksum file of another one."""
        why = f"{MARK}the checksum file of another one is called like it (sidecar). {_RENAME}"
        self._db.execute(
            "UPDATE takes SET why = ? WHERE why IS NULL AND NOT kept "
            "AND name IN (SELECT CAST(name || ? AS BLOB) FROM takes WHERE why IS NULL)",
            (why, suffix.encode()),
        )

    def _hold_successors(self) -> None:
        """A name that an earlier, different file has got."""
        for page in self._fresh():
            known = self._run.given_names.find(one.name for one in page)
            for one in page:
                earlier = known.get(one.name)
                if earlier is not None and not earlier.is_for(one):
                    why = (
                        f"{MARK}deliver_as makes the name {as_json(one.name)} of it, which the file "
                        f"{as_json(earlier.file_name)} has got. {_RENAME} If it shall replace that file, give a "
                        "'Reason' with it."
                    )
                    self._db.execute("UPDATE takes SET why = ? WHERE identity = ?", (why, one.entry))

    def _remember(self) -> None:
        for page in self._fresh():
            self._run.given_names.note(page)

    def _fresh(self) -> Iterator[list[GivenName]]:
        """What has a name that was made just now, a page at a time."""
        last = ""
        while True:
            rows = self._db.execute(
                "SELECT name, source, identity FROM takes WHERE NOT kept AND why IS NULL AND identity > ? "
                "ORDER BY identity LIMIT ?",
                (last, _PAGE),
            ).fetchall()
            if not rows:
                return
            yield [GivenName(_text(name), _text(source), identity) for name, source, identity in rows]
            last = rows[-1][2]


def arrival_name(take: Take, rule: str) -> ArrivalName:
    """The name of a file that needed no :class:`Named` to get one."""
    return take.name or kept_name(take.before, take.file, rule) or OWN_NAME


def _bytes(name: str | None) -> bytes:
    """SQLite takes no lone surrogates, which a name may have."""
    return b"" if name is None else name.encode(errors="surrogatepass")


def _text(name: bytes) -> str:
    return name.decode(errors="surrogatepass")
