"""R7: a run's e-mails to the contacts about its files: when one is due, and its content.

That each is sent at most once is in ``run/job_mail.py``; the messages to rules are in ``run/rules.py``. The wording and
sending of both is in ``run/addressees.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from client_delivery.config.notify import Occasion
from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.manifest import HELD
from client_delivery.run.addressees import Contacts
from client_delivery.run.companions import of_sets, proofs
from client_delivery.run.job_mail import JobMail, file_line
from client_delivery.run.told import OfJob

if TYPE_CHECKING:
    from client_delivery.notify.messages import FileLine, JobSummary
    from client_delivery.run.context import Run


class StartedMail(JobMail):
    """'Job started' (R7.1): the files that are active and that no run has announced yet.

    A restart that resumes what a dead run had announced announces nothing again (R7.2).
    """

    kind = "started"

    def subjects(self) -> list[Entry]:
        """Every active entry, except those of another run that is under way."""
        entries = self.run.to_wind_up(self.run.ledger.open_now(self.run.owner))
        return [entry for entry in entries if entry.active and not entry.reopened and not entry.guarded]

    def life(self, entry: Entry) -> RunRef:
        """The run that armed the file."""
        return entry.armed_by


class FinishedMail(JobMail):
    """'Job finished' (R7.1): every file with its final status, what is held, and what came under a second name."""

    kind = "finished"

    def subjects(self) -> list[Entry]:
        """Every entry with an outcome that is not closed yet, those of a run that died included."""
        entries = self.run.to_wind_up(self.run.ledger.open_now(self.run.owner))
        return [entry for entry in entries if entry.status is not Status.PROCESSING]

    def life(self, entry: Entry) -> RunRef:
        """The run that handled the file."""
        return entry.owned_by

    def remind(self, entries: Sequence[Entry], *, not_listed: int = 0) -> None:
        """Send the reminder of held files (R5.9): these entries, and so many more."""
        told = OfJob(Occasion.HELD, self.of_held(entries, not_listed=not_listed))
        Contacts(self.run, self.post).send(told, self.run.config.contacts)

    def of_held(self, entries: Sequence[Entry], *, not_listed: int = 0, for_team: bool = False) -> JobSummary:
        """The data for a reminder of these, and of so many more."""
        summary = self.summary([], [file_line(entry) for entry in entries], for_team=for_team)
        return replace(summary, more_held=not_listed)

    def held(self) -> list[FileLine]:
        """Files that failed before and wait in the pick-up until somebody asks for them (R5.4)."""
        run = self.run
        etags = [*(e.identity for e in run.ledger.held_entries()), *run.ledger.manifest.etags(run.owner.run_id, HELD)]
        entries = run.ledger.find(etags).values()
        held = {(e.key, e.source_etag): e for e in entries if e.status is Status.FAIL and not e.open}
        waiting = {(file.key, file.etag) for file in run.pickup.files()} if held else set()
        return [file_line(entry) for where, entry in held.items() if where in waiting]

    def completion(self, entries: Sequence[Entry]) -> list[str]:
        """Of the sets that these files belong to."""
        return of_sets(self.run, entries)

    def proofs(self, entries: Sequence[Entry]) -> list[tuple[str, bytes]]:
        """Of the sets that these files belong to, where the configuration says so."""
        return proofs(self.run, entries)

    def duplicates(self, entries: Sequence[Entry]) -> list[FileLine]:
        """Files that came under other names too (R5.7)."""
        return [
            file_line(entry, name=name, note=f"same content as {entry.file_name}")
            for entry in entries
            for name in sorted(entry.duplicate_names)
        ]


def mail_is_left(run: Run) -> bool:
    """Whether an e-mail of an earlier life of this run is left to be sent, or to be reported."""
    if not (run.owner.generation and run.notifies):
        return False
    unsent = run.unsent_mail.of_run(run.owner, (StartedMail.kind, FinishedMail.kind))
    return any(one.unknown or one.left(run.config.contacts) for one in unsent)
