"""A look at pick-up and ledger, page by page: what waits, and what is to be done with it (R4.3 to R4.6, R5).

:func:`look` only asks whether there is anything to do, which takes no more memory for a million files than for a
thousand. :class:`Survey` takes the decision for every file; what it found is in a
:class:`~client_delivery.pickup.spool.Spool` meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from client_delivery.ledger.entry import Entry, Status
from client_delivery.pickup.intake import Intake, Options, Take, asked_for, decide
from client_delivery.pickup.recognition import Group, Recognition, Sighting, grouped
from client_delivery.pickup.spool import Kind, Spool

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile
    from client_delivery.ledger.table import Ledger
    from client_delivery.pickup.pickup import DoneFile, Pickup

PAGE = 1000
"""Files that are looked at together: as many as S3 lists in one response."""
MOST_HELD = 10_000
"""Held files that :func:`look` keeps by name; all are counted."""

T = TypeVar("T")


@dataclass(slots=True)
class Findings:
    """What :func:`look` found. A file counts for itself, whatever others have the same content."""

    done_file: DoneFile | None
    unknown: int = 0
    """Files that the ledger does not know by their ETag."""
    resume: int = 0
    unconcluded: int = 0
    rearm: int = 0
    already_sent: int = 0
    held: int = 0
    some_held: list[tuple[Entry, PickupFile]] = field(default_factory=list)
    """The first :data:`MOST_HELD` of them."""

    def count(self, intake: Intake) -> None:
        """Add what is to be done with some of the files."""
        self.unknown += len(intake.unknown)
        self.resume += len(intake.resume)
        self.unconcluded += len(intake.unconcluded)
        self.rearm += len(intake.rearm)
        self.already_sent += len(intake.remove) + len(intake.duplicates)
        self.held += len(intake.held)
        self.some_held += intake.held[: MOST_HELD - len(self.some_held)]

    @property
    def of_files(self) -> bool:
        """Whether there is something to do with a file."""
        return bool(self.unknown or self.resume or self.rearm or self.already_sent)

    @property
    def idle(self) -> bool:
        """R4.4: nothing to do; what is held waits. A done file without files still is to be removed."""
        return not (self.of_files or self.unconcluded or self.done_file)


def look(
    pickup: Pickup, ledger: Ledger, options: Options, *, needs_done_file: bool, recognition: Recognition
) -> Findings:
    """Is there anything to do? Asks S3 for nothing but the done file and the listing, and changes nothing."""
    with closing(_Look(pickup, ledger, options, recognition, needs_done_file=needs_done_file)) as here:
        findings = Findings(here.done_file)
        groups = (group for page in here.pages() for group in grouped(here.relevant(page), options.rules))
        for intake in here.decisions(groups, thorough=False):
            findings.count(intake)
        return findings


class Survey:
    """What is to be done with each file that waits, for as many as there are. To be closed.

    Without the done file that is needed, only what was begun or has failed is looked at (R4.3, R4.6). S3 is asked for
    the content of what the ledger does not know by its ETag, and what has been delivered under an earlier delivery
    key is taken over; nothing else is changed.
    """

    def __init__(
        self, pickup: Pickup, ledger: Ledger, options: Options, *, needs_done_file: bool, recognition: Recognition
    ) -> None:
        self._rules = options.rules
        self._guards = options.guards
        self._look = _Look(pickup, ledger, options, recognition, needs_done_file=needs_done_file)
        try:
            self._recognise(self._look, pickup, recognition)
        except BaseException:
            self.close()
            raise

    @property
    def done_file(self) -> DoneFile | None:
        """The done file as it was before the pick-up was listed: what it speaks for is in the listing (R4.5)."""
        return self._look.done_file

    @property
    def unstable(self) -> int:
        """How many files are left for a later run, for somebody may still be writing them."""
        return self._look.unstable

    def parts(self) -> Iterator[Intake]:
        """All decisions, some files at a time, those of one content together. They are the same each time."""
        return self._look.decisions(self._look.spool.groups(self._rules), thorough=True)

    def close(self) -> None:
        """Forget what was found."""
        self._look.close()

    def _recognise(self, here: _Look, pickup: Pickup, recognition: Recognition) -> None:
        spool = here.spool
        for page in here.pages():
            sure = []
            for one in recognition.by_content(page, pickup):
                if recognition.unsure(one):
                    spool.put_off(one, recognition.hints(one))
                else:
                    sure.append(one)
            self._add(here, sure)
        for unsure in _portions(spool.unsure()):
            hints = {hint for _, one in unsure for hint in recognition.hints(one)}
            recognition.read_suspects([one for _, one in unsure], pickup, spool.shared(hints))
            for number, one in unsure:
                self._add(here, [one], number)

    def _add(self, here: _Look, sightings: Iterable[Sighting], number: int | None = None) -> None:
        for one in here.relevant(sightings):
            here.spool.add(one, self._rules, number)
            if self._guards is not None and (one.entry is None or one.entry.status is not Status.SUCCESS):
                self._guards.count([one.file.name])


class _Look:
    """What both have in common: what is asked of the ledger first, the listing, and what its files are without it."""

    def __init__(
        self, pickup: Pickup, ledger: Ledger, options: Options, recognition: Recognition, *, needs_done_file: bool
    ) -> None:
        self._pickup = pickup
        self._options = options
        self._recognition = recognition
        # The done file is looked at first: whatever it speaks for is in the pick-up by then, and in the listing after.
        self.done_file = pickup.done_file()
        self._complete = self.done_file is not None or not needs_done_file
        self.spool = Spool()
        self._open = self.spool.keep(Kind.OPEN, ledger.each_open())
        self._held = 0
        self.unstable = 0
        """Files that somebody may still be writing: they are left for a later run."""
        if not self._complete:
            for held in _portions(ledger.each_held()):
                self._held += self.spool.keep(Kind.HELD, held)
                self.spool.keep(Kind.ASKED_FOR, (entry for entry in held if asked_for(entry, options)))

    def close(self) -> None:
        """Free the disk."""
        self.spool.close()

    def pages(self) -> Iterator[list[Sighting]]:
        """The files that wait, with what can be told without asking S3."""
        if self._complete or self._held:
            for page in _portions(self._pickup.files()):
                guards = self._options.guards
                stable = [file for file in page if guards is None or not guards.unstable(file)]
                self.unstable += len(page) - len(stable)
                yield self._recognition.by_etag(stable)

    def relevant(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        """New files wait for their done file; of one that failed, another upload or name is found as well."""
        found = list(sightings)
        if self._complete:
            return found
        held = self.spool.has(Kind.HELD, {one.entry.identity for one in found if one.entry is not None})
        return [one for one in found if one.entry is not None and one.entry.identity in held]

    def decisions(self, groups: Iterable[Group], *, thorough: bool) -> Iterator[Intake]:
        """By the rules of R5, some files at a time; then what is open and does not wait there."""
        for some in _portions(groups):
            intake = decide(some, (), self._options, thorough=thorough)
            if self._open:
                self.spool.see(Kind.OPEN, [group.key for group in some])
            if not self._complete:
                self._leave_for_the_done_file(intake)
            yield intake
        unseen = (
            entry for entry, seen in self.spool.entries(Kind.OPEN) if not (seen and entry.status is Status.PROCESSING)
        )
        for entries in _portions(unseen):
            yield decide((), entries, self._options)
        # R4.3, R5.4: without the done file, of what failed only that goes for which an operator asked.
        absent = (entry for entry, seen in self.spool.entries(Kind.ASKED_FOR) if not seen)
        for entries in _portions(entry for entry in absent if self._options.wants(entry.file_name)):
            yield Intake(rearm=[Take(entry.identity, entry.source, before=entry) for entry in entries])

    def _leave_for_the_done_file(self, intake: Intake) -> None:
        asked = self.spool.has(Kind.ASKED_FOR, [take.identity for take in intake.rearm])
        intake.rearm = [take for take in intake.rearm if take.identity in asked]
        self.spool.see(Kind.ASKED_FOR, asked)


def _portions(values: Iterable[T]) -> Iterator[list[T]]:
    """A page at a time."""
    rest = iter(values)
    while page := list(islice(rest, PAGE)):
        yield page
