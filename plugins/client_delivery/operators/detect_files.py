"""R4.3, R4.4: is there anything to do?"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

from client_delivery.operators.base import DeliveryOperator, HeldFiles
from client_delivery.operators.notify import post_of
from client_delivery.run.held import remind, why
from client_delivery.run.mails import FinishedMail, mail_is_left

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.pickup.survey import Findings
    from client_delivery.run.context import Run

_HELD_NAMES = 20


class DetectFilesSensor(DeliveryOperator, BaseSensorOperator):
    """Looks for the done file, for new files and for unfinished work; finding nothing, skips the rest of the run.

    An idle run ends here, green, with nothing written and nobody mailed (R4.4); red while a file that failed earlier
    still waits (R5.9). A run that was triggered with
    ``wait_minutes`` waits that long for something to do, deferred: it then costs no worker slot.
    """

    as_begun = False

    def poke(self, context: Context) -> bool:
        """Whether there is anything to do; for a run that was asked for files by name, whether there is one of them."""
        run = self.run_of(context)
        return self._goes_on(run, self._look(run))

    @staticmethod
    def _goes_on(run: Run, found: Findings) -> bool:
        if run.options.file_pattern and not run.owner.generation:
            return found.of_files
        return not found.idle or mail_is_left(run)

    def _look(self, run: Run) -> Findings:
        found = run.look()
        if found.held:
            names = [file.name for _, file in found.some_held[:_HELD_NAMES]]
            self.log_event("files_held", level=logging.WARNING, files=found.held, names=names)
        self.log_event(
            "files_detected",
            new=found.unknown,
            unfinished=found.resume + found.unconcluded,
            again=found.rearm,
            already_sent=found.already_sent,
            held=found.held,
            done_file=found.done_file is not None if run.config.trigger_on_done_file else None,
        )
        return found

    def execute(self, context: Context) -> None:
        """Go on, wait, or skip everything downstream. Raises if the form asks for what there cannot be, or is not."""
        run = self.run_of(context)
        if run.asked:
            self.log_event("form_asks", asked=run.asked)
        if pattern := run.options.file_pattern:
            from client_delivery.run.asked import pattern_problem

            if problem := pattern_problem(pattern, run.config.pickup.prefix):
                raise AirflowFailException(f"{problem} Trigger the DAG again. Nothing was sent.")
        found = self._look(run)
        if self._goes_on(run, found):
            return
        minutes = context["params"]["wait_minutes"]
        if not minutes:
            self._end(context, found)
        from client_delivery.operators.triggers.pickup import PickupTrigger

        seconds = minutes * 60
        self.defer(
            trigger=PickupTrigger(
                configuration=run.config.model_dump(mode="json"),
                params=dict(context["params"]),
                owner=str(run.owner),
                deadline=time.time() + seconds,
            ),
            method_name="resume_execution_after_wait",
            # The trigger keeps the deadline; this only catches a trigger that never answers.
            timeout=timedelta(seconds=seconds + 600),
        )

    def resume_execution_after_wait(self, context: Context, event: dict[str, Any]) -> None:
        """Called with what the trigger found."""
        self.run_of(context)
        if event["found"]:
            self.log_event("wait_ended", found=True)
            return
        self.log_event("wait_ended", found=False)
        self._end(context, self._look(self.run_of(context)))

    def _end(self, context: Context, found: Findings) -> None:
        """Skip the rest of the run. Raises instead while a failed file waits: it is to be seen until it is solved."""
        run = self.run_of(context)
        if run.needs_done_file and found.done_file is None:
            waiting, and_more = run.pickup.waiting()
            self.log_event("nothing_to_do", waiting_for_done_file=waiting, and_more=and_more or None)
        else:
            self.log_event("nothing_to_do")
        self._refuse_green(run, found)
        if expected := run.config.expected_every_days:
            days = run.last_delivery.days_ago()
            if days is not None and days > expected:
                # The line is what the alarm waits for; the run stays green, for there is nothing to run again.
                self.log_event("files_overdue", level=logging.ERROR, days=round(days, 1), expected_every_days=expected)
                self.alarm("files_overdue")
        if not run.options.file_pattern:
            some = [(file.name, entry.last_error) for entry, file in found.some_held]
            run.note_on_board(lambda board: board.looked(run.config.name, run.facts, some, found.held))
        if found.held:
            remind(FinishedMail(run, post_of(run)), found)
            raise HeldFiles(why(found, run.config.delivery_key))
        raise DownstreamTasksSkipped(tasks=sorted(self.get_flat_relative_ids(upstream=False)))

    def _refuse_green(self, run: Run, found: Findings) -> None:
        """A run that was asked for files by name and has none is not green: somebody would believe that they went."""
        pattern = run.options.file_pattern
        if not pattern or run.owner.generation:
            return
        from client_delivery.run.asked import none_found

        pickup = run.config.pickup
        raise AirflowFailException(
            none_found(
                pattern,
                f"s3://{pickup.bucket}/{pickup.prefix}",
                (file.name for file in run.pickup.files()),
                [file.name for _, file in found.some_held],
                done_file_missing=run.needs_done_file and found.done_file is None,
            )
        )
