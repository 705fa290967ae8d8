"""Files that failed and still wait (R5.9): an idle run is red while there are any; contacts get a daily reminder."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from client_delivery.ledger.life import RunRef
from client_delivery.run.rules import tell_of_held
from client_delivery.runtime.events import as_json, one_line

if TYPE_CHECKING:
    from client_delivery.pickup.survey import Findings
    from client_delivery.run.mails import FinishedMail

_NAMED = 20
_TOLD_BY_FINISH_MAIL = timedelta(hours=24)
"""The finish e-mail of the run in which a file failed names the file; the first reminder comes a day later."""


def why(found: Findings, delivery_key: str) -> str:
    """The failure message of an otherwise idle run: which files, why they failed, and what to do."""
    held = found.some_held[:_NAMED]
    lines = [f"  {as_json(file.name)}: {one_line(str(entry.last_error))}" for entry, file in held]
    if found.held > len(held):
        lines.append(f"  and {found.held - len(held)} more; the log event files_held counts them")
    files = "1 file of" if found.held == 1 else f"{found.held} files of"
    wait = "waits" if found.held == 1 else "wait"
    return (
        f"Nothing new to do, but {files} {delivery_key} failed earlier and still {wait} in the pick-up:\n"
        + "\n".join(lines)
        + "\nTo send them, fix the cause and clear the run that failed, or trigger the DAG with 'Resend failed "
        "files'. A file that is renamed or dropped again is sent by the next run; for a client with a done file, "
        "by the run with the next done file. To give one up, dismiss it on the Deliveries page, or remove it from "
        "the pick-up."
    )


def remind(mail: FinishedMail, found: Findings) -> None:
    """One message a day (UTC) while something has been held for a day. Never fails the task (R7.3)."""
    now = datetime.now(UTC)
    held = [entry for entry, _ in found.some_held]
    known_long = any(now - datetime.fromisoformat(entry.timestamp) >= _TOLD_BY_FINISH_MAIL for entry in held)
    run = mail.run
    today = RunRef(f"held-{now:%Y-%m-%d}")
    if not known_long:
        return
    not_listed = found.held - len(held)
    tell_of_held(
        mail,
        lambda: mail.of_held(held, not_listed=not_listed, for_team=True),
        [entry.identity for entry in held],
    )
    if not run.notifies:
        return
    try:
        if not run.mail_marks.claim("held", today):
            return
        mail.remind(held, not_listed=not_listed)
    except Exception as error:
        run.log_event("mail_not_sent", level=logging.ERROR, kind="held", error=str(error))
        if not (getattr(error, "has", ()) or getattr(error, "unknown", ())):
            with suppress(Exception):  # what could not be claimed cannot be given back either
                run.mail_marks.release("held", today)
