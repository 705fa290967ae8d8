"""Messages that a client's earlier runs could not send: a later run sends them until they are three days old."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from client_delivery.config.notify import Occasion
from client_delivery.ledger.entry import Status
from client_delivery.run import acknowledgements, expected, keys
from client_delivery.run.addressees import Addressee, Contacts, addressee_of, mark_of
from client_delivery.run.job_mail import file_line
from client_delivery.run.mails import FinishedMail
from client_delivery.run.rules import Telling, plain, with_trouble_told
from client_delivery.run.told import OfJob, Told

if TYPE_CHECKING:
    from client_delivery.ledger.unsent_mail import Unsent
    from client_delivery.run.addressees import Post
    from client_delivery.run.context import Run

TOLD_FOR = timedelta(days=3)
"""A message that could not be sent for so long is given up."""
FIRST_RETRY, _LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=6)


def send_what_is_left(run: Run, post: Post) -> None:
    """Send the messages that earlier runs of this client could not. Never raises."""
    if run.silenced:
        return  # the next run does
    if run.config.notify or run.config.expected or run.config.acknowledgement:
        with_trouble_told(run, lambda: _send(run, post))


def _send(run: Run, post: Post) -> None:
    by_mark: dict[str, Addressee] = {"": Contacts(run, post)}
    by_mark |= {mark_of(rule): addressee_of(run, post, rule) for rule in run.config.notify}
    telling, now = Telling(run, post), datetime.now(UTC)
    for unsent in run.unsent_mail.for_later_runs():
        to = by_mark.get(_mark_in(unsent.kind))
        if to is None or not unsent.left(to.recipients) or now - _since(unsent) > TOLD_FOR:
            if run.unsent_mail.take(unsent) and to is not None:
                run.log_event("message_given_up", level=logging.ERROR, kind=plain(unsent.kind), error=unsent.reason)
            continue
        if now < _due(unsent) or not telling.seconds() or not run.unsent_mail.take(unsent):
            continue
        telling.send_or_keep(to, partial(_again, run, post, unsent), unsent)


def _again(run: Run, post: Post, unsent: Unsent) -> Told:
    """Make the message again, from the note and the entries that it is about."""
    about = unsent.about or {}
    if "late" in about:
        return expected.told_again(run, post, about["late"], unsent.owner)
    if "keys" in about:
        return keys.told_again(run, post, about["keys"], unsent.owner)
    if "acknowledgements" in about:
        return acknowledgements.told_again(run, post, about["acknowledgements"], unsent.owner)
    entries = list(run.ledger.find(unsent.etags).values())
    occasion, at = Occasion(about["occasion"]), datetime.fromisoformat(about["since"])
    mail = FinishedMail(run, post)
    if occasion is Occasion.HELD:
        held = [file_line(entry) for entry in entries if entry.status is Status.FAIL]
        return OfJob(occasion, mail.summary([], held, for_team=True, life=unsent.owner, at=at))
    return OfJob(occasion, mail.summary(entries, [], for_team=True, life=unsent.owner, at=at))


def _due(unsent: Unsent) -> datetime:
    """The time of the next attempt: later after each."""
    noted = datetime.fromisoformat(unsent.noted_at) if unsent.noted_at else _since(unsent)
    return noted + min(FIRST_RETRY * (1 << min(unsent.tries - 1, 20)), _LONGEST_RETRY)


def _since(unsent: Unsent) -> datetime:
    return datetime.fromisoformat(str((unsent.about or {})["since"]))


def _mark_in(kind: str) -> str:
    """The addressee's part of ``@finished_0123456789ab``."""
    _, line, mark = kind.partition("_")
    return f"{line}{mark}"
