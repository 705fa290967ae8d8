"""Messages to the rules of ``notify``: each once (R7.2), and never at a delivery's cost (R7.3).

The right to send is claimed in the ledger first. A message that could not be sent is noted there, for later runs of
the client (``unsent``). Trouble is logged and raises an alarm; it fails no task, and all rules together delay a task by
half a minute at most.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from client_delivery.config.notify import Occasion, rules_on
from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.unsent_mail import Unsent
from client_delivery.run.addressees import Addressee, Contacts, Post, addressee_of
from client_delivery.run.told import OfAcknowledgements, OfJob, OfKeys, OfLate, Told

if TYPE_CHECKING:
    from client_delivery.config.notify import NotifyRule
    from client_delivery.ledger.entry import Entry
    from client_delivery.notify.messages import FileLine, JobSummary
    from client_delivery.run.context import Run

PATIENCE = 30.0
"""Seconds of one task that all rules together may take; the rest is left for a later run."""
LONGEST_ATTEMPT = 15.0
"""Seconds for one message by one rule. The last one starts before the patience ends."""
_MOST_LOOKED_UP = 50
"""The most files of a run whose record is searched for earlier failures."""


class AboutFiles(Protocol):
    """A message about files: :class:`~client_delivery.run.job_mail.JobMail`."""

    kind: ClassVar[str]
    run: Run
    post: Post

    def subjects(self) -> list[Entry]:
        """The entries that it is about."""

    def life(self, entry: Entry) -> RunRef:
        """The life of a run in which it is due for an entry."""

    def held(self) -> list[FileLine]:
        """The files that it lists as held."""

    def summary(self, entries: Sequence[Entry], held: list[FileLine], *, for_team: bool = False) -> JobSummary:
        """The data for it."""


class Telling:
    """The messages of one task to all rules, in the available time."""

    def __init__(self, run: Run, post: Post) -> None:
        self.run, self.post = run, post
        self._end = time.monotonic() + PATIENCE

    def seconds(self) -> float:
        """Seconds for the next message; 0 if there is no time for another one."""
        left = self._end - time.monotonic()
        return min(left, LONGEST_ATTEMPT) if left > 1 else 0.0

    def send_or_keep(self, to: Addressee, told: Callable[[], Told], unsent: Unsent) -> None:
        """Send a claimed message; note what is left of it.

        :param told: makes it. What it reads may fail as sending may, and must not cost the message.
        """
        seconds = self.seconds()
        if not seconds:
            self._keep(to, unsent, TimeoutError("the messages before it used up the time"))
            return
        try:
            to.send(told(), unsent.left(to.recipients), message_id(self.run, unsent), seconds)
        except Exception as error:
            self._keep(to, unsent, error)

    def _keep(self, to: Addressee, unsent: Unsent, error: Exception) -> None:
        has = (*unsent.has, *getattr(error, "has", ()))
        unknown = () if to.repeatable else (*unsent.unknown, *getattr(error, "unknown", ()))
        reason = str(error) or type(error).__name__
        kept = replace(unsent, has=has, unknown=unknown, reason=reason, tries=unsent.tries + 1, done=False)
        left = len(kept.left(to.recipients))
        kind = plain(unsent.kind)
        event = "message_not_sent" if to.mark else "mail_not_sent"
        self.run.log_event(event, level=logging.ERROR, kind=kind, error=reason, left=left)
        self.post.alarm("message_not_sent")
        if left:
            self.run.unsent_mail.note(kept)


def tell_of_job(mail: AboutFiles) -> None:
    """Tell the rules about the same event as the e-mail of this kind. Never raises."""
    run = mail.run
    occasions = (Occasion.STARTED,) if mail.kind == "started" else (*_ENDS,)
    rules = rules_on(run.config.notify, *occasions)
    if not rules or run.silenced:
        return
    telling = Telling(run, mail.post)
    with_trouble_told(run, lambda: _tell_of_job(mail, rules, telling))


_ENDS = (Occasion.FAILED, Occasion.RECOVERED, Occasion.FINISHED)
"""The possible occasions at a delivery's end; of several, a rule is told the first that it has."""


def _tell_of_job(mail: AboutFiles, rules: Sequence[NotifyRule], telling: Telling) -> None:
    run = mail.run
    entries = mail.subjects()
    if not entries:
        return
    happened = [Occasion.STARTED] if mail.kind == "started" else _happened(run, entries, rules)
    held = mail.held() if mail.kind == "finished" else []
    for rule in rules:
        occasion = next((one for one in happened if one in rule.on), None)
        if occasion is None:
            continue
        to = addressee_of(run, mail.post, rule)
        lives = {mail.life(entry) for entry in entries}
        claimed = run.mail_marks.claim_each(f"{mail.kind}{to.mark}", lives, to.recipients)
        about = [entry for entry in entries if mail.life(entry) in claimed]
        if not about:
            continue
        unsent = Unsent(
            f"@{mail.kind}{to.mark}",
            run.owner,
            [entry.identity for entry in about],
            about={"occasion": str(occasion), "since": _now()},
        )
        telling.send_or_keep(to, partial(_of_job, mail, occasion, about, held), unsent)


def _of_job(mail: AboutFiles, occasion: Occasion, entries: Sequence[Entry], held: list[FileLine]) -> OfJob:
    return OfJob(occasion, mail.summary(entries, held, for_team=True))


def _happened(run: Run, entries: Sequence[Entry], rules: Sequence[NotifyRule]) -> list[Occasion]:
    """The occasions at this delivery's end, the most important first."""
    happened = [Occasion.FINISHED]
    if rules_on(rules, Occasion.RECOVERED) and _recovered(run, entries):
        happened.insert(0, Occasion.RECOVERED)
    if any(run.failed(entry) for entry in entries):
        happened.insert(0, Occasion.FAILED)
    return happened


def _recovered(run: Run, entries: Sequence[Entry]) -> bool:
    """Whether a file was delivered whose last outcome, in a run before, was a failure."""
    again = [
        entry
        for entry in entries
        if entry.status is Status.SUCCESS and not entry.reopened and entry.armed_at != entry.created_at
    ]
    for entry in again[:_MOST_LOOKED_UP]:
        found = run.history.of_file(run.config.delivery_key, entry.file_name).found
        before = [one for one in found if one.entry == entry.identity and one.run != str(run.owner)]
        if before and before[-1].status == Status.FAIL:
            return True
    return False


def tell_of_held(mail: AboutFiles, summary: Callable[[], Any], identities: Sequence[str]) -> None:
    """Tell the rules about held files, once a day (UTC). Never raises."""
    run = mail.run
    rules = rules_on(run.config.notify, Occasion.HELD)
    if not rules or run.silenced:
        return
    telling = Telling(run, mail.post)

    def tell() -> None:
        day = RunRef(f"held-{datetime.now(UTC):%Y-%m-%d}")
        for rule in rules:
            to = addressee_of(run, mail.post, rule)
            if run.mail_marks.claim_each(f"held{to.mark}", {day}, to.recipients):
                about = {"occasion": str(Occasion.HELD), "since": _now()}
                unsent = Unsent(f"@held{to.mark}", run.owner, identities, about=about)
                telling.send_or_keep(to, lambda: OfJob(Occasion.HELD, summary()), unsent)

    with_trouble_told(run, tell)


def tell_of_late(run: Run, post: Post, told: OfLate, key: str) -> None:
    """Tell the contacts and the rules about expected files. Never raises.

    The run that wrote the expectation's state into the ledger has claimed this: no other run sends it, unless this one
    leaves it to a later one.

    :param key: of the expectation.
    """
    to: list[Addressee] = [Contacts(run, post)] if run.notifies or run.silenced else []
    to += [addressee_of(run, post, rule) for rule in rules_on(run.config.notify, told.occasion)]
    about = {"late": {**asdict(told.late), "due": told.late.due.isoformat(), "came": list(told.late.came[:100])}}
    _tell_each(run, post, to, told, kind=f"late-{_short(f'{key}|{told.late.due}|{told.late.news}')}", about=about)


def tell_of_keys(run: Run, post: Post, told: OfKeys) -> None:
    """Tell the rules about keys that end soon; never the contacts, who may be the client. Never raises.

    The run that wrote the look at the keys into the ledger has claimed this: no other run sends it.
    """
    to = [addressee_of(run, post, rule) for rule in rules_on(run.config.notify, told.occasion)]
    about = {"keys": [{**asdict(one), "ends": one.ends.isoformat()} for one in told.keys]}
    what = "|".join(f"{one.id} {one.ends} {one.days}" for one in told.keys)
    _tell_each(run, post, to, told, kind=f"expiring-{_short(what)}", about=about)


def tell_of_acknowledgements(run: Run, post: Post, told: OfAcknowledgements, key: str) -> None:
    """Tell the contacts and the rules about acknowledgements that are missing, or that came late. Never raises.

    The run that wrote into the ledger how far it has looked has claimed this: no other run sends it.

    :param key: distinguishes this news from any other of the client.
    """
    to: list[Addressee] = [Contacts(run, post)] if run.notifies else []
    to += [addressee_of(run, post, rule) for rule in rules_on(run.config.notify, told.occasion)]
    about = {"acknowledgements": {**asdict(told.told), "names": list(told.told.names)}}
    _tell_each(run, post, to, told, kind=f"acknowledgements-{_short(f'{key}|{told.told.news}')}", about=about)


def _tell_each(run: Run, post: Post, to: Sequence[Addressee], told: Told, *, kind: str, about: dict[str, Any]) -> None:
    """Send a claimed message that is about no entry of the ledger, or leave it to a run that may send messages."""
    telling = Telling(run, post)
    for addressee in to:
        unsent = Unsent(f"@{kind}{addressee.mark}", run.owner, [], about={**about, "since": _now()})
        tell = partial(telling.send_or_keep, addressee, lambda: told, unsent)
        if run.silenced:
            later = replace(unsent, reason="messages were switched off for the run", tries=1)
            tell = partial(run.unsent_mail.note, later)
        with_trouble_told(run, tell)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def message_id(run: Run, unsent: Unsent) -> str:
    """The same for each try at a message, and for no other message."""
    text = f"{run.config.delivery_key}|{unsent.kind}|{unsent.owner}"
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def with_trouble_told(run: Run, tell: Callable[[], None]) -> None:
    """Whatever goes wrong is logged and nothing else (R7.3)."""
    try:
        tell()
    except Exception as error:
        run.log_event("message_not_sent", level=logging.ERROR, kind="any", error=f"{type(error).__name__}: {error}")


def _now() -> str:
    return datetime.now(UTC).isoformat()


def plain(kind: str) -> str:
    """The subject of a message: ``finished`` of ``@finished_0123456789ab``."""
    return kind.removeprefix("@").partition("_")[0].partition("-")[0]
