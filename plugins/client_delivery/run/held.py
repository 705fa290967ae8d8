"""What failed and still waits (R5.9): an idle run is red while there is any, and the contacts get a daily reminder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from client_delivery.ledger.entry import Entry, RunRef
from client_delivery.runtime.events import as_json, one_line

if TYPE_CHECKING:
    from client_delivery.pickup.pickup import PickupFile
    from client_delivery.run.mails import FinishedMail

_NAMED = 20
_TOLD_BY_FINISH_MAIL = timedelta(hours=24)
"""The finish e-mail of the run in which a file failed names it; the first reminder comes a day later."""

Held = Sequence[tuple[Entry, "PickupFile"]]


def why(held: Held, delivery_key: str) -> str:
    """The failure of an otherwise idle run: which files, why they failed, and what to do."""
    lines = [f"  {as_json(file.name)}: {one_line(str(entry.last_error))}" for entry, file in held[:_NAMED]]
    if len(held) > _NAMED:
        lines.append(f"  and {len(held) - _NAMED} more; the log event files_held counts them")
    files = "1 file of" if len(held) == 1 else f"{len(held)} files of"
    wait = "waits" if len(held) == 1 else "wait"
    return (
        f"Nothing new to do, but {files} {delivery_key} failed earlier and still {wait} in the pick-up:\n"
        + "\n".join(lines)
        + "\nTo send them, fix the cause and clear the run that failed, or trigger the DAG with 'Resend failed files'. "
        "A file that is renamed or dropped again is sent by the next run. To give one up, remove it from the pick-up."
    )


def remind(mail: FinishedMail, held: Held) -> None:
    """One e-mail a day (UTC) while something has been held for a day. Never fails the task (R7.3)."""
    now = datetime.now(UTC)
    known_long = any(now - datetime.fromisoformat(entry.timestamp) >= _TOLD_BY_FINISH_MAIL for entry, _ in held)
    run = mail.run
    today = RunRef(f"held-{now:%Y-%m-%d}")
    if not (run.notifies and known_long):
        return
    try:
        if not run.mail_marks.claim("held", today):
            return
        mail.remind([entry for entry, _ in held])
    except Exception as error:
        run.log_event("mail_not_sent", level=logging.ERROR, kind="held", error=str(error))
        if not (getattr(error, "has", ()) or getattr(error, "unknown", ())):
            run.mail_marks.release("held", today)
