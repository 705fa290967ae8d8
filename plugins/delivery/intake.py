"""What a run does with each file that waits: the rules of R5, as one pure decision.

:func:`survey` looks at pick-up and ledger and changes nothing; the sensor asks whether there is anything to do, and
registering carries it out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from delivery.ledger.entry import Entry, RunRef, Status, identity

if TYPE_CHECKING:
    from delivery.ledger.table import Ledger
    from delivery.pickup import DoneFile, Pickup, PickupFile


@dataclass(frozen=True, slots=True)
class Options:
    """How one run treats what it finds: the configuration, and what the trigger form changed of it (R9.1)."""

    owner: RunRef
    dedupe_by: str = "content"
    bypass: bool = False
    resend_failed: bool = False
    file_pattern: str | None = None

    def wants(self, name: str) -> bool:
        """Whether the run is for a file of this name."""
        return self.file_pattern is None or fnmatchcase(name, self.file_pattern)


@dataclass(frozen=True, slots=True)
class Take:
    """A file that the run sends, with the names of others of the same content."""

    etag: str
    file: PickupFile
    duplicates: frozenset[str] = frozenset()

    @property
    def size(self) -> int:
        """Bytes."""
        return self.file.size


@dataclass(slots=True)
class Intake:
    """What is to be done. Each file that waits is in exactly one of these, or left for a later run."""

    add: list[Take] = field(default_factory=list)
    """R5.1: seen for the first time."""
    resume: list[Take] = field(default_factory=list)
    """R5.5, R4.6: begun by a run that died."""
    rearm: list[Take] = field(default_factory=list)
    """R5.3, R5.4: sent or failed before, to be sent once more."""
    remove: list[PickupFile] = field(default_factory=list)
    """R5.2: sent before under this name; the object is deleted from the pick-up."""
    duplicates: list[tuple[Entry, PickupFile]] = field(default_factory=list)
    """R5.7: sent before under another name; noted by name, then deleted."""
    held: list[tuple[Entry, PickupFile]] = field(default_factory=list)
    """R5.4: failed before; stays where it is until someone asks for it."""
    unconcluded: list[Entry] = field(default_factory=list)
    """Terminal, but the run that dealt with it died before it was reported and closed."""
    complete: bool = True
    """Whether every file that waits is dealt with: no pattern left any out."""

    @property
    def take(self) -> list[Take]:
        """All that is to be sent."""
        return [*self.add, *self.resume, *self.rearm]

    @property
    def idle(self) -> bool:
        """Nothing to send, to delete or to conclude (R4.4); what is held waits."""
        return not (self.take or self.remove or self.duplicates or self.unconcluded)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at pick-up and ledger found."""

    intake: Intake
    done_file: DoneFile | None

    @property
    def idle(self) -> bool:
        """R4.4: nothing to do. A done file without files still is to be removed."""
        return self.intake.idle and self.done_file is None


def survey(pickup: Pickup, ledger: Ledger, options: Options, *, needs_done_file: bool) -> Survey:
    """Look at what waits; without the done file that is needed, only at what a dead run left behind (R4.3, R4.6).

    The done file is looked at first: whatever it speaks for is in the pick-up by then, and in the listing after.
    """
    done_file = pickup.done_file()
    open_entries = ledger.open_entries()
    groups: dict[str, list[PickupFile]] = defaultdict(list)
    if done_file is not None or not needs_done_file:
        for file in pickup.files():
            groups[identity(file, options.dedupe_by)].append(file)
    entries = {entry.etag: entry for entry in open_entries} | ledger.find(groups)
    intake = decide(groups, entries, [entry.etag for entry in open_entries], options)
    if done_file is None and needs_done_file:
        intake.rearm += [Take(entry.etag, entry.source) for entry in _asked_for(ledger, options)]
    return Survey(intake, done_file)


def _asked_for(ledger: Ledger, options: Options) -> list[Entry]:
    """R5.4, without a look at the pick-up: what is held and an operator asked for, by the form or by a clear."""
    if options.resend_failed:
        held = ledger.held_entries()
    elif options.owner.generation:
        held = [
            entry for entry in ledger.held_entries(options.owner) if entry.owned_by.is_earlier_life_of(options.owner)
        ]
    else:
        return []
    return [entry for entry in held if options.wants(entry.file_name)]


def decide(
    groups: Mapping[str, Sequence[PickupFile]],
    entries: Mapping[str, Entry],
    open_etags: Iterable[str],
    options: Options,
) -> Intake:
    """Apply R5. ``groups`` are the files that wait by identification, ``entries`` what the ledger knows of them."""
    intake = Intake()
    for etag, files in groups.items():
        wanted = [file for file in files if options.wants(file.name)]
        if len(wanted) < len(files):
            intake.complete = False
        if wanted:
            _decide_group(intake, etag, wanted, entries.get(etag), options)
    for etag in open_etags:
        entry = entries[etag]
        if entry.status is not Status.PROCESSING:
            intake.unconcluded.append(entry)
        elif etag not in groups and options.wants(entry.file_name):
            # The pick-up was not listed, or the file is gone from it: the attempt will find out and say so.
            intake.resume.append(Take(etag, entry.source))
    return intake


def _decide_group(
    intake: Intake, etag: str, files: Sequence[PickupFile], entry: Entry | None, options: Options
) -> None:
    """One content, under one name or several. The name that the ledger knows comes first."""
    first = next((file for file in files if entry and file.key == entry.key), files[0])
    others = [file for file in files if file is not first]
    take = Take(etag, first, frozenset(file.name for file in others))
    if entry is None:
        intake.add.append(take)
    elif entry.status is Status.PROCESSING:
        intake.resume.append(take)
    elif _in_hand(entry, options.owner):
        return
    elif _sent_again(entry, first, options):
        intake.rearm.append(take)
    elif entry.status is Status.FAIL:
        intake.held += [(entry, file) for file in files]
    else:
        for file in files:
            if file.name == entry.file_name or file.name in entry.duplicate_names:
                intake.remove.append(file)
            else:
                intake.duplicates.append((entry, file))


def _in_hand(entry: Entry, owner: RunRef) -> bool:
    """This life of the run has dealt with it already: its task is being tried again."""
    return entry.active and entry.owned_by.is_same_life(owner)


def _sent_again(entry: Entry, file: PickupFile, options: Options) -> bool:
    if entry.status is Status.FAIL:
        return options.bypass or options.resend_failed or entry.owned_by.is_earlier_life_of(options.owner)
    # Delivered under bypass, and the run died before it removed the source: the same object is not a new wish.
    left_over = entry.remove_source and entry.source == file
    return options.bypass and not left_over
