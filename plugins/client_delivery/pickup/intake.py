"""What a run does with each file that waits: the rules of R5, as one pure decision.

It is taken over all of the files at once, or over some at a time, as long as those of one content come together:
:mod:`client_delivery.pickup.survey` sees to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from client_delivery.ledger.aliases import Alias, aliases_of, covered_name, earlier_name
from client_delivery.ledger.arrival import ArrivalName
from client_delivery.ledger.entry import Entry, Status, Wish
from client_delivery.ledger.life import RunRef
from client_delivery.pickup.recognition import Group, Rules, Sighting

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile
    from client_delivery.pickup.guards import Guards


@dataclass(frozen=True, slots=True)
class Options:
    """How one run treats what it finds: the configuration, and what the trigger form changed of it (R9.1)."""

    owner: RunRef
    rules: Rules = field(default_factory=Rules)
    bypass: bool = False
    resend_failed: bool = False
    file_pattern: str | None = None
    keep: bool = False
    """What has been delivered stays in the pick-up (R5.8)."""
    deliverable: Callable[[str], bool] = lambda name: True
    """Whether the destination can have a file of this name."""
    guards: Guards | None = None
    """What a file must be like to be sent; None if nothing is asked of it (R5.10)."""
    lets_through: bool = False
    """Whether a person lets through what guards hold, and has said why."""

    def wants(self, name: str) -> bool:
        """Whether the run is for a file of this name."""
        return self.file_pattern is None or fnmatchcase(name, self.file_pattern)


@dataclass(frozen=True, slots=True)
class Take:
    """A file that the run sends, with the names of others of the same content."""

    identity: str
    """The sort key of its entry."""
    file: PickupFile
    duplicates: frozenset[str] = frozenset()
    wish: Wish | None = None
    """Who asked for it, if it was not who asked for this run."""
    before: Entry | None = None
    """What the ledger knows of it already."""
    name: ArrivalName | None = None
    """What it is called at the destination; None where that is still to be decided."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.file.size


@dataclass(slots=True)
class Intake:
    """What is to be done. Each file that waits is in exactly one of these, or left for a later run."""

    add: list[Take] = field(default_factory=list)
    """R5.1: seen for the first time."""
    refused: list[tuple[Take, str]] = field(default_factory=list)
    """R5.10: seen for the first time, and held by a guard, with its reason."""
    resume: list[Take] = field(default_factory=list)
    """R5.5, R4.6: begun by a run that died."""
    rearm: list[Take] = field(default_factory=list)
    """R5.3, R5.4: sent or failed before, to be sent again."""
    remove: list[PickupFile] = field(default_factory=list)
    """R5.2: sent before under this name; the object is deleted from the pick-up."""
    sent_before: dict[str, Entry] = field(default_factory=dict)
    """As what each file of ``remove`` was sent, by its key."""
    delivered: list[tuple[Entry, PickupFile]] = field(default_factory=list)
    """Of these, the very objects that were delivered."""
    duplicates: list[tuple[Entry, PickupFile]] = field(default_factory=list)
    """R5.7: sent before under another name; noted by name, then deleted."""
    held: list[tuple[Entry, PickupFile]] = field(default_factory=list)
    """R5.4: failed before; stays where it is until someone asks for it."""
    dismissed: list[tuple[Entry, PickupFile]] = field(default_factory=list)
    """R5.9: failed before, and a person has given it up; stays where it is until someone drops it again."""
    unconcluded: list[Entry] = field(default_factory=list)
    """Terminal, but the run that dealt with it died before it was reported and closed."""
    abandoned: list[Entry] = field(default_factory=list)
    """Still active for a run that is over: the health check did not see it, because the index lags (R4.2)."""
    unknown: list[PickupFile] = field(default_factory=list)
    """Not known by its ETag, in a look that asks S3 nothing: there is something to do."""
    aliases: list[Alias] = field(default_factory=list)
    """What was found out of the files, for the ledger to remember."""
    complete: bool = True
    """Whether every file that waits is dealt with: no pattern left any out."""

    @property
    def take(self) -> list[Take]:
        """All that is to be sent."""
        return [*self.add, *self.resume, *self.rearm]

    @property
    def idle(self) -> bool:
        """Nothing to send, to delete or to conclude (R4.4); what is held waits."""
        return not (self.take or self.refused or self.remove or self.duplicates or self.unconcluded or self.unknown)


def asked_for(entry: Entry, options: Options) -> bool:
    """R5.4: whether what failed is to be sent again, by the form or by a clear."""
    return options.resend_failed or entry.owned_by.is_earlier_life_of(options.owner)


def decide(
    groups: Iterable[Group], open_entries: Sequence[Entry], options: Options, *, thorough: bool = True
) -> Intake:
    """Apply R5. ``groups`` are files that wait, ``open_entries`` those that the ledger's index shows as unfinished."""
    intake = Intake()
    seen = set()
    for group in groups:
        seen.add(group.key)
        wanted = [one for one in group.sightings if options.wants(one.file.name)]
        if len(wanted) < len(group.sightings):
            intake.complete = False
        if group.entry is None and not thorough:
            intake.unknown += [one.file for one in wanted]
        elif wanted:
            _decide_group(intake, group.key, wanted, group.entry, options)
    for entry in open_entries:
        if entry.status is not Status.PROCESSING:
            intake.unconcluded.append(entry)
        elif entry.identity not in seen and options.wants(entry.file_name):
            # The pick-up was not listed, or the file is gone from it: the attempt will find out and say so.
            intake.resume.append(Take(entry.identity, entry.source, entry.duplicate_names, before=entry))
    return intake


def _decide_group(
    intake: Intake, etag: str, sightings: Sequence[Sighting], entry: Entry | None, options: Options
) -> None:
    """One content, under one name or several."""
    for one in sightings:
        if one.new:
            intake.aliases += aliases_of(etag, one.file, by_name=options.rules.by_name)
    if entry is None:
        _take_on(intake, _taken(intake, etag, sightings, None, options), options)
    elif entry.status is Status.PROCESSING:
        if entry.active and not entry.owned_by.is_same_run(options.owner):
            intake.abandoned.append(entry)
        intake.resume.append(_taken(intake, etag, sightings, entry, options))
    elif _in_hand(entry, options.owner):
        return
    elif entry.status is Status.FAIL:
        if again := _to_be_sent_again(entry, sightings, options):
            take = _taken(intake, etag, sightings, entry, options, among=again)
            intake.rearm.append(replace(take, wish=entry.wanted))
        else:
            where = intake.held if entry.dismissed is None else intake.dismissed
            where += [(entry, one.file) for one in sightings]
    elif entry.wanted is not None:
        take = _taken(intake, etag, sightings, entry, options)
        # Whatever it is called by now: it was asked for under the name that the recipient knows.
        intake.rearm.append(replace(take, file=replace(take.file, name=entry.file_name), wish=entry.wanted))
    elif options.bypass and not _left_over(entry, sightings[0].file):
        intake.rearm.append(_taken(intake, etag, sightings, entry, options))
    else:
        _clear_away(intake, sightings, entry, options)


def _take_on(intake: Intake, take: Take, options: Options) -> None:
    """A file that is seen for the first time: sent, or held by a guard."""
    why = _guarded(take.file, options)
    if why is None:
        intake.add.append(take)
    else:
        intake.refused.append((take, why))


def _to_be_sent_again(entry: Entry, sightings: Sequence[Sighting], options: Options) -> Sequence[Sighting]:
    """The failed files that are sent again.

    Clearing a run, or dropping a file again, does not confirm that a file held by a guard is right.
    """
    asked = options.bypass or (asked_for(entry, options) and entry.dismissed is None)
    wanted = sightings if asked else _new_wishes(entry, sightings)
    return [one for one in wanted if _guarded(one.file, options) is None] if entry.guarded else wanted


def _guarded(file: PickupFile, options: Options) -> str | None:
    """Why a guard holds the file; None if none does."""
    return options.guards.refusal(file) if options.guards is not None and not options.lets_through else None


def _taken(
    intake: Intake,
    etag: str,
    sightings: Sequence[Sighting],
    entry: Entry | None,
    options: Options,
    *,
    among: Sequence[Sighting] = (),
) -> Take:
    """The name that goes: the ledger's if it waits, else the first that the destination can have (R5.7)."""
    known = next((one for one in sightings if entry and one.file.key == entry.key), None)
    possible = [one for one in among or sightings if options.deliverable(one.file.name)]
    first = known if known is not None and (not among or known in among) else (possible or among or sightings)[0]
    if entry is not None and entry.name_refused and possible:
        first = possible[0]
    others = [one.file for one in sightings if one is not first]
    intake.aliases += [covered_name(etag, file) for file in others]
    if entry is not None and entry.file_name != first.file.name:
        intake.aliases.append(earlier_name(entry))
    names = {file.name for file in others}
    if entry is not None and entry.status is Status.PROCESSING:
        names |= entry.duplicate_names
    return Take(etag, first.file, frozenset(names - {first.file.name}), before=entry)


def _clear_away(intake: Intake, sightings: Sequence[Sighting], entry: Entry, options: Options) -> None:
    """R5.2, R5.7: sent before. A name that was never reported is reported once; all go, unless they are to be kept."""
    for one in sightings:
        file = one.file
        known = file.name == entry.file_name or file.name in entry.duplicate_names or one.name is not None
        if not known:
            intake.duplicates.append((entry, file))
        elif not options.keep:
            intake.remove.append(file)
            intake.sent_before[file.key] = entry
            if file.name == entry.file_name and file.etag == entry.source_etag:
                intake.delivered.append((entry, file))


def _in_hand(entry: Entry, owner: RunRef) -> bool:
    """This life of the run has handled it already: its task is being retried."""
    return entry.active and entry.owned_by.is_same_life(owner)


def _left_over(entry: Entry, file: PickupFile) -> bool:
    """Delivered under bypass, and still there: the same object is not a new wish (R5.6)."""
    return entry.remove_source and entry.source == file


def _new_wishes(entry: Entry, sightings: Sequence[Sighting]) -> list[Sighting]:
    """R5.9: of what failed, those files that somebody has put there since: renamed, dropped again, restored."""
    return [one for one in sightings if _is_new_wish(entry, one)]


def _is_new_wish(entry: Entry, sighting: Sighting) -> bool:
    file = sighting.file
    if file.key == entry.key:
        return file.etag != entry.source_etag or file.last_modified > datetime.fromisoformat(entry.source_modified)
    if sighting.name is not None and sighting.name.seen is not None and file.last_modified <= sighting.name.seen:
        # It was there when the other name failed. It only goes if it was the name that the destination refused.
        return entry.name_refused and not sighting.name.sent
    # A release before this one kept the names in the entry.
    return file.name not in entry.duplicate_names or file.last_modified > datetime.fromisoformat(entry.timestamp)
