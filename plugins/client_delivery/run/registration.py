"""Each file that waits is decided on, entered into the ledger and given to a batch, before anything is sent (R5)."""

from __future__ import annotations

import logging
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from client_delivery.config.delivered import naming_rule
from client_delivery.ledger.aliases import covered_name
from client_delivery.ledger.entry import Status
from client_delivery.ledger.manifest import HELD
from client_delivery.ledger.table import GUARDED_BATCH, Assignment
from client_delivery.pickup.intake import Intake, Take
from client_delivery.run import acknowledgements
from client_delivery.run.again import Again, survey_of, wait_for_drop, what_is_nowhere, what_needs_a_reason
from client_delivery.run.batches import BatchRef, Share, nothing_to_send
from client_delivery.run.companions import SetOfRun, companions_are_due
from client_delivery.run.detection import FormRefused
from client_delivery.run.leftovers import deactivate
from client_delivery.run.mails import mail_is_left
from client_delivery.run.naming import MARK, Named, arrival_name
from client_delivery.transfer.plan import split

if TYPE_CHECKING:
    from client_delivery.pickup.survey import Survey
    from client_delivery.run.context import Run


@dataclass(frozen=True, slots=True)
class Registered:
    """What came of registering."""

    batches: list[BatchRef]
    """Empty if nothing is left to send or to report."""
    form: dict[str, Any]
    """What the trigger form asked for and what came of it (R9.1); empty for a run that asked for nothing."""


@dataclass(slots=True)
class _Totals:
    """What is to be done, in numbers: there may be a million files."""

    sizes: array[int] = field(default_factory=lambda: array("q"))
    """Bytes of each file that is to be sent, in the order in which the survey has them each time."""
    again: int = 0
    already_sent: int = 0
    duplicates: int = 0
    held: int = 0
    unconcluded: int = 0
    refused: int = 0
    complete: bool = True

    def count(self, intake: Intake) -> None:
        """Add some of the files."""
        self.sizes.extend(take.size for take in intake.take)
        self.again += len(intake.rearm)
        self.already_sent += len(intake.remove) + len(intake.duplicates)
        self.duplicates += len(intake.duplicates)
        self.held += len(intake.held)
        self.unconcluded += len(intake.unconcluded)
        self.refused += len(intake.refused)
        self.complete &= intake.complete

    @property
    def in_hand(self) -> bool:
        """Whether the run has anything to wind up."""
        return bool(self.sizes or self.duplicates or self.unconcluded or self.refused)


def register(run: Run) -> Registered:
    """Decide for each file by the ledger (R5), clear away what was sent before, and plan the batches.

    Safe to run again at any point: what an earlier try registered is taken up again, and the done file goes last,
    when every listed file is in the ledger (R4.5). The decisions are gone through several times, some files at a time,
    so that no step needs more memory for more files. Raises :class:`FormRefused` if the run was asked for files of
    which none can be sent.
    """
    acknowledgements.begin(run)
    with closing(survey_of(run)) as survey:
        if not naming_rule(run.config):
            return _register(run, survey, survey)
        with closing(Named(run, survey)) as named:
            registered = _register(run, survey, named)
            if not registered.batches and (why := named.still_nameless()):
                raise FormRefused(why)
            return registered


class _Decided(Protocol):
    """What has the decisions on all files, the same each time they are asked for."""

    def parts(self) -> Iterator[Intake]: ...


def _register(run: Run, survey: Survey | Again, decided: _Decided) -> Registered:
    if run.delivery_keys[-1:] != [run.config.delivery_key]:
        run.registry.use(run.config.delivery_key, run.delivery_keys)
    totals = _Totals(complete=not survey.unstable)
    for intake in decided.parts():
        totals.count(intake)
        if intake.abandoned:
            deactivate(run, run.to_wind_up(intake.abandoned))
        run.ledger.aliases.note(intake.aliases)
    if totals.in_hand:
        run.begin()
    batches = _take(run, decided, totals)
    if isinstance(survey, Again):
        _tell_what_is_nowhere(run, survey, batches)
    reported = False
    if totals.already_sent or totals.held:
        for intake in decided.parts():
            reported |= _clear_away(run, intake)
    form = _came_of_form(run, totals, batches)
    if survey.done_file is not None and totals.complete:
        removed = run.pickup.remove_done_file(survey.done_file)
        run.log_event("done_file_removed" if removed else "done_file_kept_newer", key=survey.done_file.key)
    left = mail_is_left(run) or companions_are_due(run)
    if not (batches or reported or totals.unconcluded or totals.refused or left):
        run.log_event("nothing_to_send")
        if totals.in_hand:
            run.end()
        return Registered([], form)
    batches = batches or [nothing_to_send(run.owner)]
    _announce(run, batches)
    return Registered(batches, form)


def _tell_what_is_nowhere(run: Run, again: Again, batches: Sequence[BatchRef]) -> None:
    if again.unknown:
        run.log_event("files_unknown", level=logging.ERROR, keys=again.unknown)
    wait_for_drop(run, again.nowhere)
    if not batches and (again.nowhere or again.unknown):
        raise FormRefused(what_is_nowhere(run) or "The ledger knows none of the files that were asked for.")
    if not batches and again.without_reason:
        raise FormRefused(what_needs_a_reason(again.without_reason))


def _announce(run: Run, batches: Sequence[BatchRef]) -> None:
    files, size = sum(batch["files"] for batch in batches), sum(batch["bytes"] for batch in batches)
    run.log_event(
        "job_started",
        run=str(run.owner),
        files=files,
        bytes=size,
        batches=sum(batch["files"] > 0 for batch in batches),
    )
    run.note_on_board(
        lambda board: board.begun(run.config.name, run.facts, run=run.owner.run_id, files=files, size=size)
    )


def _came_of_form(run: Run, totals: _Totals, batches: Sequence[BatchRef]) -> dict[str, Any]:
    """R9.1: what the trigger form asked for, and what came of it; empty where it asked for nothing."""
    if not run.asked:
        return {}
    form: dict[str, Any] = {
        "asked": run.asked,
        "sent": sum(batch["files"] for batch in batches),
        "sent_again": totals.again,
        "already_sent_and_removed": totals.already_sent,
        "held": totals.held,
        "others_left_alone": not totals.complete,
    }
    run.log_event("form_applied", **form)
    return form


def _take(run: Run, decided: _Decided, totals: _Totals) -> list[BatchRef]:
    """Arm every file to be sent, and describe the batches by what the ledger really took."""
    plan = split(
        totals.sizes,
        threshold=run.offload_threshold,
        most_batches=run.settings.worker_batches,
        together=run.config.destination.max_bytes_per_second is not None or run.config.order is not None,
    )
    shares = [Share() for _ in range(plan.batches)]
    if totals.in_hand or totals.held:
        numbers = iter(plan.numbers)
        sets = SetOfRun(run)
        for intake in decided.parts():
            _take_some(run, intake, numbers, shares, sets)
        sets.seal()
    described = [share.described(number, plan, str(run.owner)) for number, share in enumerate(shares)]
    return [batch for batch in described if batch["files"]]


def _take_some(run: Run, intake: Intake, numbers: Iterator[int], shares: Sequence[Share], sets: SetOfRun) -> None:
    set_of = sets.of(intake.take, [take for take, _ in intake.refused])
    rule = naming_rule(run.config)
    assignments = {
        take.identity: Assignment(
            take.file,
            take.identity,
            next(numbers),
            take.duplicates,
            take.wish,
            arrival_name(take, rule),
            set_of[take.identity],
        )
        for take in intake.take
    }

    def of(takes: Iterable[Take]) -> list[Assignment]:
        return [assignments[take.identity] for take in takes]

    by_batch: dict[int | str, list[str]] = defaultdict(list)
    for assignment in assignments.values():
        by_batch[assignment.batch].append(assignment.identity)
    owner, name = run.owner, run.config.name
    refused = [
        Assignment(take.file, take.identity, GUARDED_BATCH, take.duplicates, set_id=set_of.get(take.identity))
        for take, _ in intake.refused
    ]
    by_batch[GUARDED_BATCH] = [item.identity for item in refused]
    run.ledger.manifest.note(
        owner.run_id,
        {
            **by_batch,
            "unconcluded": [entry.identity for entry in intake.unconcluded],
            "reported": [entry.identity for entry, _ in intake.duplicates],
            HELD: [entry.identity for entry, _ in intake.held],
        },
    )
    reasons = {take.identity: why for take, why in intake.refused}
    files = {item.identity: item.file for item in refused}
    for held in run.ledger.hold(refused, reasons, owner, name):
        file, why = files[held], reasons[held]
        event = "file_held_for_its_name" if why.startswith(MARK) else "file_held_by_guard"
        run.log_event(event, level=logging.WARNING, file=file.name, etag=file.etag, error=why)
    taken = {
        *run.ledger.add(of(intake.add), owner, name),
        *run.ledger.resume(of(intake.resume), owner, name),
        *run.ledger.rearm(of(intake.rearm), owner, name, [Status.SUCCESS, Status.FAIL]),
    }
    for kind, takes in (("new", intake.add), ("resumed", intake.resume), ("again", intake.rearm)):
        for take in takes:
            number = assignments[take.identity].batch
            if take.identity in taken:
                shares[number].add(take)
            run.log_event(
                "file_registered" if take.identity in taken else "file_not_registered",
                kind=kind,
                file=take.file.name,
                bytes=take.size,
                etag=take.file.etag,
                arrives_as=assignments[take.identity].name.delivered,
                batch=number,
                same_content_as=sorted(take.duplicates) or None,
            )


def _clear_away(run: Run, intake: Intake) -> bool:
    """R5.2, R5.7: delete what was sent before. True if there is a duplicate to report by name."""
    for entry, file in intake.held:
        run.log_event("file_held", level=logging.WARNING, file=file.name, etag=file.etag, last_error=entry.last_error)
    reported = False
    names: dict[str, list[str]] = defaultdict(list)
    for entry, file in intake.duplicates:
        names[entry.identity].append(file.name)
    for entry in {entry.identity: entry for entry, _ in intake.duplicates}.values():
        reported |= run.ledger.note_duplicates(entry, names[entry.identity], run.owner)
    for entry, file in intake.duplicates:
        run.log_event(
            "file_already_sent_under_another_name",
            level=logging.WARNING,
            file=file.name,
            etag=file.etag,
            sent_as=entry.file_name,
        )
    run.ledger.aliases.note(covered_name(entry.identity, file) for entry, file in intake.duplicates)
    gone = [*intake.remove, *(file for _, file in intake.duplicates)]
    at = datetime.now(UTC)
    kept = run.disposal.clear_away(gone, at)
    _note_removed(run, intake, kept, at)
    for file in gone:
        if not run.disposal.keeps:
            changed = file.key in kept
            run.log_event("source_kept_changed" if changed else "source_removed", file=file.name, etag=file.etag)
    return reported


def _note_removed(run: Run, intake: Intake, kept: Collection[str], at: datetime) -> None:
    """R5.2: what was delivered is gone from the pick-up, and where it is kept."""
    gone = {entry.identity: (entry, file) for entry, file in intake.delivered if file.key not in kept}
    try:
        run.ledger.removed(
            [entry for entry, _ in gone.values()], lambda entry: run.disposal.archived_to(gone[entry.identity][1], at)
        )
    except Exception as error:
        # They are gone already: another try would find nothing to note.
        names = sorted(entry.file_name for entry, _ in gone.values())
        run.log_event("removal_not_noted", level=logging.ERROR, files=names, error=type(error).__name__)
