"""Which of the files that wait the ledger knows, whatever their ETags are (R3.6, R3.7, R5.7).

By the ETag first: one read for each file that was seen before, and no request to S3. Only a file that the ledger does
not know by its ETag costs more: aliases are asked for, and S3 for the content's checksums. What has been delivered
under an earlier delivery key of the same pick-up is taken over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from client_delivery.ledger.aliases import Alias, aliases_of, by_content, by_etag, content_keys, hint_keys
from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.identity import identity

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile
    from client_delivery.ledger.table import Ledger
    from client_delivery.pickup.pickup import Pickup


@dataclass(slots=True)
class Sighting:
    """One file that waits, and what the ledger knows of it."""

    file: PickupFile
    entry: Entry | None = None
    """The entry of its content; in a client that tells files apart by name, of its content under its name."""
    name: Alias | None = None
    """What was noted of this very name, where the entry goes by another."""
    new: bool = False
    """Not known by its ETag: what is found out of it is to be noted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes two files the same for one run."""

    by_name: bool = False
    """Files of the same content and different names are different files."""
    by_content: bool = True
    """An upload with another ETag is recognised by its content."""


class Recognition:
    """Recognises files for one client."""

    def __init__(self, ledger: Ledger, rules: Rules, earlier: Sequence[Ledger] = (), place: str = "") -> None:
        """``earlier``: the ledgers of the pick-up's earlier delivery keys; of them, what came from ``place`` counts."""
        self._ledger = ledger
        self._rules = rules
        self._earlier = earlier
        self._place = place

    def by_etag(self, files: Iterable[PickupFile]) -> list[Sighting]:
        """What can be told without asking S3. A file without an entry may still be known by its content."""
        sightings = [Sighting(file) for file in files]
        self._look(self._ledger, sightings)
        for sighting in sightings:
            sighting.new = sighting.entry is None
            sighting.file = _with_what_is_known(sighting)
        return sightings

    def by_content(self, sightings: Sequence[Sighting], pickup: Pickup) -> list[Sighting]:
        """What S3 has to be asked for: the content of files without an entry. Leaves out what is gone by now.

        Those that are :meth:`unsure` after it are told by :meth:`read_suspects`, when all of the listing is known.
        """
        unknown = {sighting.file.key: sighting for sighting in sightings if sighting.entry is None}
        identified = {file.key: file for file in pickup.identify(s.file for s in unknown.values())}
        overwritten: list[Sighting] = []
        for key, sighting in unknown.items():
            if (file := identified.get(key)) is not None:
                if file.etag != sighting.file.etag:
                    overwritten.append(sighting)
                sighting.file = file
        self._look(self._ledger, overwritten)
        found = [one for one in sightings if one.file.key not in unknown or one.file.key in identified]
        self._look_deeper([one for one in found if one.entry is None])
        return found

    def unsure(self, sighting: Sighting) -> bool:
        """S3 has only a short checksum of the content, or none of the whole: the content may still be known."""
        return self._rules.by_content and sighting.entry is None and not sighting.file.content.certain

    @staticmethod
    def hints(sighting: Sighting) -> list[str]:
        """What an :meth:`unsure` file has in common with every other of its content, and perhaps with others."""
        return hint_keys(sighting.file.content, sighting.file.size)

    def read_suspects(self, unsure: Sequence[Sighting], pickup: Pickup, shared: Collection[str]) -> None:
        """Read those that have reason to be known. ``shared``: hints that several files of this look have."""
        hints = {one.file.key: self.hints(one) for one in unsure}
        known = {key for keys in hints.values() for key in keys}
        known = set().union(*(ledger.aliases.find(known) for ledger in (self._ledger, *self._earlier)))
        if not self._rules.by_name:
            known.update(shared)
        suspects = {one.file.key: one for one in unsure if known.intersection(hints[one.file.key])}
        for file in pickup.read(one.file for one in suspects.values()):
            suspects[file.key].file = file
        read = [one for one in suspects.values() if one.file.content.certain]
        self._look_deeper(read)
        if self._rules.by_name:
            return
        self._look_for_failures([one for one in suspects.values() if one.entry is None])
        if unknown := [one for one in read if one.entry is None]:
            for ledger in (self._ledger, *self._earlier):
                self._learn(ledger, unknown, pickup)
            self._look_deeper(unknown)

    def _learn(self, ledger: Ledger, sightings: Iterable[Sighting], pickup: Pickup) -> None:
        """Read what was sent before, where it is left and S3 itself copied it, so that nobody has ever read it."""
        keys = {key for one in sightings for key in self.hints(one)}
        entries = ledger.find({alias.entry for alias in ledger.aliases.find(keys).values()})
        unread = [entry for entry in entries.values() if not entry.content.certain]
        past = pickup.read_again((entry.source, entry.archived_to) for entry in unread)
        ledger.aliases.note(
            alias
            for entry, file in zip(unread, past, strict=True)
            if file.content.certain
            for alias in aliases_of(entry.identity, file, by_name="#" in entry.identity)
        )

    def _look_deeper(self, sightings: Sequence[Sighting]) -> None:
        """By the checksums, and in the ledgers of earlier delivery keys."""
        if self._rules.by_content:
            self._look_by_content(self._ledger, sightings)
        for ledger in self._earlier:
            self._take_over(ledger, [one for one in sightings if one.entry is None])

    def _look_for_failures(self, sightings: Sequence[Sighting]) -> None:
        """What failed has never been read, so a short checksum is all that is known of it. Here it is enough: the file
        is sent in any case, as what failed or as a new one."""
        keys = {one.file.key: [by_content(checksum) for checksum in one.file.content.weak] for one in sightings}
        aliases = self._ledger.aliases.find(key for found in keys.values() for key in found)
        entries = self._ledger.find(alias.entry for alias in aliases.values())
        for one in sightings:
            known = [entries.get(aliases[key].entry) for key in keys[one.file.key] if key in aliases]
            one.entry = next((entry for entry in known if entry and entry.status is Status.FAIL), None)

    def _look(self, ledger: Ledger, sightings: Sequence[Sighting]) -> None:
        """By ETag: the entry that would be made today, the one of the other rule, another upload's, a name's."""
        first = ledger.find(self._keys(one.file)[0] for one in sightings)
        for one in sightings:
            one.entry = first.get(self._keys(one.file)[0])
        # An entry of the same content that goes by another name: this name may have an entry of its own, or be noted.
        rest = [one for one in sightings if one.entry is None or one.entry.file_name != one.file.name]
        if not rest:
            return
        second = ledger.find(self._keys(one.file)[1] for one in rest)
        aliases = ledger.aliases.find(key for one in rest for key in _alias_keys(one.file))
        others = ledger.find(alias.entry for alias in aliases.values())
        for one in rest:
            own = second.get(self._keys(one.file)[1])
            if own is not None and (own.file_name == one.file.name or not self._rules.by_name):
                one.entry = own
                if own.file_name == one.file.name:
                    continue
            for key in _alias_keys(one.file):
                self._follow(one, aliases.get(key), others)

    def _look_by_content(self, ledger: Ledger, sightings: Sequence[Sighting]) -> None:
        keys = {one.file.key: content_keys(one.file.content, one.file.name) for one in sightings}
        aliases = ledger.aliases.find(key for found in keys.values() for key in found)
        entries = ledger.find(alias.entry for alias in aliases.values())
        for one in sightings:
            for key in keys[one.file.key]:
                alias = aliases.get(key)
                entry = entries.get(alias.entry) if alias else None
                if entry is not None and not entry.content.contradicts(one.file.content):
                    self._follow(one, alias, entries)
                if one.entry is not None:
                    break

    def _follow(self, sighting: Sighting, alias: Alias | None, entries: Mapping[str, Entry]) -> None:
        entry = entries.get(alias.entry) if alias else None
        if alias is None or entry is None:
            return
        same_name = entry.file_name == sighting.file.name
        if self._rules.by_name:
            # Notes made while names did not count say nothing about what was sent under this name.
            if same_name and sighting.entry is None:
                sighting.entry = entry
            return
        if sighting.entry is None:
            sighting.entry = entry
        if alias.seen is not None and sighting.entry.identity == entry.identity:
            sighting.name = alias

    def _take_over(self, earlier: Ledger, sightings: Sequence[Sighting]) -> None:
        if not sightings:
            return
        there = [Sighting(one.file) for one in sightings]
        self._look(earlier, there)
        if self._rules.by_content:
            self._look_by_content(earlier, [one for one in there if one.entry is None])
        ours = {
            one.entry.identity: one.entry for one in there if one.entry and one.entry.file_path.startswith(self._place)
        }
        self._ledger.adopt(list(ours.values()), earlier)
        adopted = self._ledger.find(ours)
        for one, found in zip(sightings, there, strict=True):
            if found.entry is not None:
                one.entry = adopted.get(found.entry.identity)

    def _keys(self, file: PickupFile) -> tuple[str, str]:
        """The sort key of a new entry by the rule in force, and by the other one."""
        by_name = self._rules.by_name
        return identity(file.etag, file.name, by_name=by_name), identity(file.etag, file.name, by_name=not by_name)


def _alias_keys(file: PickupFile) -> tuple[str, str]:
    return by_etag(file.etag, file.name), by_etag(file.etag)


def _with_what_is_known(sighting: Sighting) -> PickupFile:
    """The file with the version and the checksums that the entry has of this very object."""
    entry, file = sighting.entry, sighting.file
    if entry is None or entry.source_etag != file.etag:
        return file
    same = entry.source == file
    return replace(file, content=entry.content, version_id=entry.version_id if same else None)


@dataclass(slots=True)
class Group:
    """The files of one content: of one entry, or of one that is to be made."""

    key: str
    """The sort key of the entry."""
    entry: Entry | None
    sightings: list[Sighting] = field(default_factory=list)

    @classmethod
    def beginning_with(cls, first: Sighting, rules: Rules) -> Group:
        """The group of a file that is the first of its content."""
        if first.entry is not None:
            return cls(first.entry.identity, first.entry, [first])
        return cls(identity(first.file.etag, first.file.name, by_name=rules.by_name), None, [first])


def grouped(sightings: Iterable[Sighting], rules: Rules) -> Iterator[Group]:
    """The files by what makes them the same, in the order in which they were found.

    For as many as fit into memory; :mod:`client_delivery.pickup.spool` does the same for any number.
    """
    groups: list[Group] = []
    by_fact: dict[str, Group] = {}
    for one in sightings:
        known = facts(one, rules)
        group = next((by_fact[fact] for fact in known if fact in by_fact), None)
        if group is None:
            group = Group.beginning_with(one, rules)
            groups.append(group)
        else:
            group.sightings.append(one)
        by_fact.update(dict.fromkeys(known, group))
    yield from groups


def facts(sighting: Sighting, rules: Rules) -> list[str]:
    """What two files of one group have in common, one of these at least."""
    if sighting.entry is not None:
        return [f"entry {sighting.entry.identity}"]
    if rules.by_name:
        return [f"name {sighting.file.name}"]
    strong = sighting.file.content.strong if rules.by_content else ()
    return [f"etag {sighting.file.etag}", *strong]
