"""R5: the ledger learns of every file before anything is sent."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

from airflow.sdk.exceptions import DownstreamTasksSkipped

from client_delivery.config.problem import visible
from client_delivery.ledger.aliases import covered_name
from client_delivery.ledger.entry import Status
from client_delivery.ledger.manifest import HELD
from client_delivery.ledger.table import Assignment
from client_delivery.notify.sizes import human_size
from client_delivery.operators.base import DeliveryOperator
from client_delivery.pickup.intake import Intake, Take
from client_delivery.run.leftovers import let_go
from client_delivery.run.mails import mail_is_left
from client_delivery.transfer.plan import Plan, split

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.context import Run


LONGEST_LABEL = 250
"""Characters that Airflow's column ``rendered_map_index`` takes. PostgreSQL refuses more, and with them the task's
start; SQLite takes anything."""


class BatchRef(TypedDict):
    """What an XCom says of one batch: never the file list, which is in the ledger."""

    batch: int
    files: int
    bytes: int
    label: str
    """What the Airflow UI calls the mapped task instance."""
    owner: str
    offloaded: bool
    """Whether a container of its own sends it (R6.1)."""


class RegisterFilesOperator(DeliveryOperator):
    """Decides for each file by the ledger (R5), clears away what was sent before, and plans the batches.

    Safe to run again at any point: what an earlier try registered is taken up anew, and the done file goes last,
    when every listed file is in the ledger (R4.5).
    """

    def execute(self, context: Context) -> list[BatchRef]:
        """Returns the workers' batches; skips the rest of the run if nothing is left to send or to report."""
        run = self.run_of(context)
        survey = run.survey()
        if run.delivery_keys[-1:] != [run.config.delivery_key]:
            run.registry.use(run.config.delivery_key, run.delivery_keys)
        let_go(run, run.to_wind_up(survey.intake.abandoned))
        run.ledger.aliases.note(survey.intake.aliases)
        if in_hand := bool(survey.intake.take or survey.intake.duplicates or survey.intake.unconcluded):
            run.begin()
        batches = self._take(run, survey.intake)
        reported = self._clear_away(run, survey.intake)
        self._tell_what_was_asked(context, run, survey.intake, batches)
        if survey.done_file is not None and survey.intake.complete:
            removed = run.pickup.remove_done_file(survey.done_file)
            self.log_event("done_file_removed" if removed else "done_file_kept_newer", key=survey.done_file.key)
        if not (batches or reported or survey.intake.unconcluded or mail_is_left(run)):
            self.log_event("nothing_to_send")
            if in_hand:
                run.end()
            raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))
        # Airflow skips a mapped task without instances, and with it the wind-up, which has to report.
        nothing = BatchRef(batch=0, files=0, bytes=0, label="nothing to send", owner=str(run.owner), offloaded=False)
        batches = batches or [nothing]
        self.log_event(
            "job_started",
            run=str(run.owner),
            files=sum(batch["files"] for batch in batches),
            bytes=sum(batch["bytes"] for batch in batches),
            batches=sum(batch["files"] > 0 for batch in batches),
        )
        return batches

    def _tell_what_was_asked(self, context: Context, run: Run, intake: Intake, batches: Sequence[BatchRef]) -> None:
        """R9.1: what the trigger form asked for, and what came of it, in the log and where the UI shows a task's XComs.

        A task can not set its run's note: Airflow's Execution API has no call for it (3.2.1).
        """
        if not run.asked:
            return
        did = {
            "sent": sum(batch["files"] for batch in batches),
            "sent_again": len(intake.rearm),
            "already_sent_and_removed": len(intake.remove) + len(intake.duplicates),
            "held": len(intake.held),
            "others_left_alone": not intake.complete,
        }
        self.log_event("form_applied", asked=run.asked, **did)
        context["ti"].xcom_push(key="trigger_form", value={"asked": run.asked, **did})

    def _take(self, run: Run, intake: Intake) -> list[BatchRef]:
        """Arm every file to be sent, batch by batch, and describe the batches by what the ledger really took."""
        threshold = run.offload_threshold
        plan = split(
            intake.take,
            threshold=threshold,
            most_batches=run.settings.worker_batches,
            together=run.config.destination.max_bytes_per_second is not None,
        )
        assignments = {
            take.etag: Assignment(take.file, take.etag, number, take.duplicates)
            for number, batch in enumerate(plan.batches)
            for take in batch
        }

        def of(takes: Iterable[Take]) -> list[Assignment]:
            return [assignments[take.etag] for take in takes]

        owner, name = run.owner, run.config.name
        run.ledger.manifest.note(
            owner.run_id,
            {
                **{number: [take.etag for take in batch] for number, batch in enumerate(plan.batches)},
                "unconcluded": [entry.etag for entry in intake.unconcluded],
                "reported": [entry.etag for entry, _ in intake.duplicates],
                HELD: [entry.etag for entry, _ in intake.held],
            },
        )
        taken = {
            *run.ledger.add(of(intake.add), owner, name),
            *run.ledger.resume(of(intake.resume), owner, name),
            *run.ledger.rearm(of(intake.rearm), owner, name, [Status.SUCCESS, Status.FAIL]),
        }
        for kind, takes in (("new", intake.add), ("resumed", intake.resume), ("again", intake.rearm)):
            for take in takes:
                self.log_event(
                    "file_registered" if take.etag in taken else "file_not_registered",
                    kind=kind,
                    file=take.file.name,
                    bytes=take.size,
                    etag=take.file.etag,
                    batch=assignments[take.etag].batch,
                    same_content_as=sorted(take.duplicates) or None,
                )
        return [
            self._describe(number, [take for take in batch if take.etag in taken], plan, str(owner))
            for number, batch in enumerate(plan.batches)
            if any(take.etag in taken for take in batch)
        ]

    @staticmethod
    def _describe(number: int, takes: Sequence[Take], plan: Plan[Take], owner: str) -> BatchRef:
        size = sum(take.size for take in takes)
        noun = "file" if len(takes) == 1 else "files"
        offloaded = number >= len(plan.worker)
        what = f"{len(takes)} {noun}"
        before, after = f"batch {number + 1} of {len(plan.batches)}: ", f", {human_size(size)}"
        if offloaded:
            room = LONGEST_LABEL - len(before) - len(after)
            what = _fitting("container for ", takes[0].file.name if len(takes) == 1 else what, room)
        label = before + what + after
        return BatchRef(batch=number, files=len(takes), bytes=size, label=label, owner=owner, offloaded=offloaded)

    def _clear_away(self, run: Run, intake: Intake) -> bool:
        """R5.2, R5.7: delete what was sent before. True if there is a duplicate to report by name."""
        for entry, file in intake.held:
            self.log_event(
                "file_held", level=logging.WARNING, file=file.name, etag=file.etag, last_error=entry.last_error
            )
        reported = False
        names: dict[str, list[str]] = defaultdict(list)
        for entry, file in intake.duplicates:
            names[entry.etag].append(file.name)
        for entry in {entry.etag: entry for entry, _ in intake.duplicates}.values():
            reported |= run.ledger.note_duplicates(entry, names[entry.etag], run.owner)
        for entry, file in intake.duplicates:
            self.log_event(
                "file_already_sent_under_another_name",
                level=logging.WARNING,
                file=file.name,
                etag=file.etag,
                sent_as=entry.file_name,
            )
        run.ledger.aliases.note(covered_name(entry.etag, file) for entry, file in intake.duplicates)
        gone = [*intake.remove, *(file for _, file in intake.duplicates)]
        kept = run.disposal.clear_away(gone)
        for file in gone:
            if not run.disposal.keeps:
                changed = file.key in kept
                self.log_event("source_kept_changed" if changed else "source_removed", file=file.name, etag=file.etag)
        return reported


def _fitting(words: str, name: str, room: int) -> str:
    """The words and the name in ``room`` characters: of a longer name its end, which tells files apart.

    What a terminal would act on is escaped; a NUL, which S3 allows in a key, PostgreSQL would refuse.
    """
    shown = visible(name)
    room -= len(words)
    return words + (shown if len(shown) <= room else "…" + shown[-(room - 1) :])
