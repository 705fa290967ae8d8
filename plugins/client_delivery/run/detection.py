"""Is there anything to do (R4.3, R4.4), and how does a run that finds nothing end (R5.9)?"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from client_delivery.run.again import asked_again, asked_to_dismiss
from client_delivery.run.asked import none_found, pattern_problem
from client_delivery.run.companions import companions_are_due
from client_delivery.run.errors import CannotGoOn
from client_delivery.run.expected import acknowledge
from client_delivery.run.held import remind, why
from client_delivery.run.mails import FinishedMail, mail_is_left

if TYPE_CHECKING:
    from client_delivery.pickup.survey import Findings
    from client_delivery.run.addressees import Post
    from client_delivery.run.context import Run

_HELD_NAMES = 20


class FormRefused(CannotGoOn):
    """The trigger form asks for something impossible, or for files by name that are not there. No retry helps."""


@dataclass(frozen=True, slots=True)
class IdleEnd:
    """The end of a run that found nothing to do."""

    overdue: bool
    """Whether the client's files are later than its configuration expects."""
    held: str | None
    """Why the run is red: files that failed earlier still wait (R5.9). None if the run is green."""


def check_form(run: Run) -> None:
    """Log the trigger form's requests. Raises :class:`FormRefused` if it asks for something impossible."""
    if run.asked:
        run.log_event("form_asks", asked=run.asked)
    if reason := run.params.get("acknowledge_late"):
        acknowledge(run, reason)
    if (pattern := run.options.file_pattern) and (problem := pattern_problem(pattern, run.config.pickup.prefix)):
        raise FormRefused(f"{problem} Trigger the DAG again. Nothing was sent.")
    if asked_again(run.params) and (opens := run.closed_until(datetime.now(UTC))):
        raise FormRefused(
            f"The client's sending window opens at {opens}, and files may not be sent before that. Nothing was "
            "sent. Ask for them again then, or trigger the DAG with the same files and 'Send outside the window'."
        )


def detect(run: Run) -> Findings:
    """Look into the pick-up and the ledger, and log what is there."""
    found = run.look()
    if found.held:
        names = [file.name for _, file in found.some_held[:_HELD_NAMES]]
        run.log_event("files_held", level=logging.WARNING, files=found.held, names=names)
    run.log_event(
        "files_detected",
        new=found.unknown,
        unfinished=found.resume + found.unconcluded,
        again=found.rearm,
        already_sent=found.already_sent,
        held=found.held,
        done_file=found.done_file is not None if run.config.trigger_on_done_file else None,
    )
    return found


def goes_on(run: Run, found: Findings) -> bool:
    """Whether there is anything to do; for a run that was asked for files by name, whether there is one of them."""
    if asked_to_dismiss(run.params):
        return False
    if run.closed_until(datetime.now(UTC)):
        return mail_is_left(run)
    if asked_again(run.params):
        return True
    if run.options.file_pattern and not run.owner.generation:
        return found.of_files
    return not found.idle or mail_is_left(run) or companions_are_due(run)


def end_idle(run: Run, found: Findings, post: Callable[[], Post]) -> IdleEnd:
    """End a run that found nothing to do: log why, note it on the board, and remind people of held files.

    Raises :class:`FormRefused` if the run was asked for files by name and has none of them.
    """
    waiting, and_more, what_for = 0, False, ""
    if opens := run.closed_until(datetime.now(UTC)):
        waiting, and_more = run.pickup.waiting()
        what_for = f"the window, which opens at {opens.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        run.log_event("nothing_to_do", waiting_for_window=waiting, opens=str(opens), and_more=and_more or None)
    elif run.needs_done_file and found.done_file is None:
        waiting, and_more = run.pickup.waiting()
        what_for = run.config.done_file_key.rpartition("/")[2]
        run.log_event("nothing_to_do", waiting_for_done_file=waiting, and_more=and_more or None)
    else:
        run.log_event("nothing_to_do")
    _refuse_green(run, found)
    overdue = _overdue(run)
    if not run.options.file_pattern:
        some = [(file.name, entry.last_error) for entry, file in found.some_held]
        waits = {"files": waiting, "more": and_more, "for": what_for} if waiting else None
        run.note_on_board(lambda board: board.looked(run.config.name, run.facts, some, found.held, waiting=waits))
    if not found.held:
        return IdleEnd(overdue, None)
    remind(FinishedMail(run, post()), found)
    return IdleEnd(overdue, why(found, run.config.delivery_key))


def _overdue(run: Run) -> bool:
    """Whether files are overdue; the run stays green, because there is nothing to run again."""
    expected = run.config.expected_every_days
    if not expected:
        return False
    days = run.last_delivery.days_ago()
    if days is None or days <= expected:
        return False
    run.log_event("files_overdue", level=logging.ERROR, days=round(days, 1), expected_every_days=expected)
    return True


def _refuse_green(run: Run, found: Findings) -> None:
    """A run that was asked for files by name and has none is not green: people would believe that they were sent."""
    pattern = run.options.file_pattern
    if not pattern or run.owner.generation:
        return
    if opens := run.closed_until(datetime.now(UTC)):
        raise FormRefused(
            f"The window in which sending to {run.config.delivery_key} may begin is closed until {opens}. Nothing was "
            "sent. Trigger the DAG again then, or tick 'Send outside the window'."
        )
    raise FormRefused(
        none_found(
            pattern,
            run.place,
            (file.name for file in run.pickup.files()),
            [file.name for _, file in found.some_held],
            done_file_missing=run.needs_done_file and found.done_file is None,
        )
    )
