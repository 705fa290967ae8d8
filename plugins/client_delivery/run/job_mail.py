"""An e-mail about a run's files that is sent at most once (R7.2): what is claimed, kept and retried.

What the e-mails are about is in ``run/mails.py``; the wording and sending are in ``run/addressees.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from client_delivery.config.notify import Occasion
from client_delivery.ledger.entry import Entry
from client_delivery.ledger.life import RunRef
from client_delivery.ledger.unsent_mail import Unsent
from client_delivery.run.addressees import Contacts, Post
from client_delivery.run.told import OfJob

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

    from client_delivery.notify.messages import FileLine, JobSummary
    from client_delivery.run.context import Run


class MailUnknown(Exception):
    """It is not known whether an e-mail reached its contacts; it is not sent to them again."""


class JobMail:
    """One e-mail of one kind, at most once for each life of a run.

    The right to send is claimed in the ledger first (R7.2): when a process dies between claim and send, the e-mail
    is not sent a second time. An e-mail that did not reach every contact is noted in the ledger with those it reached:
    another try, or a life of the run after it was cleared, sends it to the others.
    """

    kind: ClassVar[str]
    accounted = False
    """Whether every message that is due was sent, or is noted in the ledger with the reason why not."""

    def __init__(self, run: Run, post: Post) -> None:
        self.run = run
        self.post = post

    def send_due(self) -> None:
        """Send the message that is due, and those that an earlier try or life of this run could not send.

        Raises :class:`MailUnknown`, :class:`~client_delivery.notify.sending.NotificationError`, and any error that
        prevented a request to the mail service.
        """
        run = self.run
        # Everything is read before the claim: after it, only sending may remain to be done.
        entries = self.subjects()
        lives = {self.life(entry) for entry in entries}
        pending = run.unsent_mail.of_run(run.owner, [self.kind])
        left = [unsent for unsent in pending if unsent.left(run.config.contacts)]
        known = {entry.identity: entry for entry in entries} | run.ledger.find(
            etag for unsent in left for etag in unsent.etags
        )
        held = self.held() if lives or left else []
        ses = self._ses_or_error() if lives or left else None
        claimed = run.mail_marks.claim_each(self.kind, lives, run.config.contacts)
        due = Unsent(self.kind, run.owner, [entry.identity for entry in entries if self.life(entry) in claimed])
        mails = _mails(due, left)
        for unsent in left:
            run.unsent_mail.note(replace(unsent, done=True))
        troubles = []
        for unsent in mails:
            about = [known[etag] for etag in unsent.etags if etag in known]
            try:
                self._send(ses, about, held, unsent.left(run.config.contacts))
            except Exception as error:
                troubles.append(error)
                self._keep(unsent, error, claimed)
        self.accounted = True
        if not mails:
            # Announced already by the run that died, or nothing to announce.
            run.log_event("mail_not_due", kind=self.kind)
            self._tell_unknown(pending)
        if troubles:
            raise troubles[0]

    def subjects(self) -> list[Entry]:
        """The entries that the e-mail is about."""
        raise NotImplementedError

    def life(self, entry: Entry) -> RunRef:
        """The life of a run in which this kind of e-mail is due for ``entry``."""
        raise NotImplementedError

    def held(self) -> list[FileLine]:
        """The files that the e-mail lists as held."""
        return []

    def duplicates(self, entries: Sequence[Entry]) -> list[FileLine]:
        """The files that the e-mail lists as not sent, because their content had been."""
        return []

    def completion(self, entries: Sequence[Entry]) -> list[str]:
        """The state of completion files."""
        return []

    def proofs(self, entries: Sequence[Entry]) -> list[tuple[str, bytes]]:
        """Completion files to attach."""
        return []

    def summary(
        self,
        entries: Sequence[Entry],
        held: list[FileLine],
        *,
        for_team: bool = False,
        life: RunRef | None = None,
        at: datetime | None = None,
    ) -> JobSummary:
        """The data for the message.

        :param for_team: with the way to the Deliveries page.
        :param life: the life of the run that it is about, if not this one.
        :param at: the time of the events, if not now.
        """
        from client_delivery.notify.messages import JobSummary

        run, life = self.run, life or self.run.owner
        pickup = run.config.pickup
        return JobSummary(
            client_h_number=run.config.client_h_number,
            feed=run.config.feed,
            configuration=run.config.name,
            run_id=life.run_id,
            asked=run.asked if life == run.owner else "",
            time=at or datetime.now(UTC),
            source=f"s3://{pickup.bucket}/{pickup.prefix}",
            destination=run.config.destination.uri,
            files=[file_line(e) for e in sorted(entries, key=lambda e: e.file_name) if not e.reopened],
            run_url=self.post.run_url(life),
            environment=run.settings.environment or None,
            zone=run.config.timezone,
            deliveries_url=self.post.deliveries_url if for_team else None,
            held=held,
            duplicates=self.duplicates(entries),
            completion=self.completion(entries),
            proofs=[] if for_team else self.proofs(entries),
        )

    # -- plumbing ----------------------------------------------------------------------------------------------------

    def _keep(self, unsent: Unsent, error: Exception, claimed: set[RunRef]) -> None:
        """Note what is left of an e-mail; if that fails too, another try can at least claim it again."""
        has = (*unsent.has, *getattr(error, "has", ()))
        unknown = (*unsent.unknown, *getattr(error, "unknown", ()))
        try:
            self.run.unsent_mail.note(replace(unsent, has=has, unknown=unknown, reason=str(error)))
        except Exception:
            if not (has or unknown):
                for life in claimed:
                    self.run.mail_marks.release(self.kind, life)
            raise

    def _tell_unknown(self, pending: Sequence[Unsent]) -> None:
        """A task that was cleared because it is unknown whether the e-mail was sent stays red, and says so."""
        reasons = [unsent for unsent in pending if unsent.unknown]
        if reasons:
            contacts = ", ".join(dict.fromkeys(contact for unsent in reasons for contact in unsent.unknown))
            raise MailUnknown(
                f"It is not known whether the {self.kind!r} e-mail of this run reached {contacts}, so it is not sent "
                f"to them again: {reasons[-1].reason} `report` and the ledger say what became of the files."
            )

    def _ses_or_error(self) -> SESClient | Exception:
        """The mail service, or why there is none: that is raised once it is known what is due."""
        try:
            return self.post.ses()
        except Exception as error:
            return error

    def _send(
        self,
        ses: SESClient | Exception | None,
        entries: Sequence[Entry],
        held: list[FileLine],
        recipients: Sequence[str],
    ) -> None:
        if isinstance(ses, Exception):
            raise ses
        assert ses is not None  # noqa: S101 - who has something to send has asked for it
        told = OfJob(Occasion(self.kind), self.summary(entries, held))
        Contacts(self.run, self.post).mail(ses, told, recipients)


def file_line(entry: Entry, **changes: Any) -> FileLine:
    """An entry as an e-mail shows it."""
    from client_delivery.notify.messages import FileLine

    shown: dict[str, Any] = {
        "name": entry.file_name,
        "size": entry.size,
        "status": entry.status.value,
        "attempts": entry.send_attempts,
        "error": entry.last_error,
        "replaced": entry.replaced,
        "delivered_to": entry.delivered_to,
        "arrives_as": entry.delivered_name,
        "checksum": " ".join(filter(None, (entry.checksum, *(f"{k}:{v}" for k, v in sorted(entry.digests.items())))))
        or None,
        "timestamp": entry.timestamp,
    }
    return FileLine(**shown | changes)


def _mails(due: Unsent, left: Sequence[Unsent]) -> list[Unsent]:
    """Messages that nobody has yet go as one e-mail; messages that some have go to the others, each separately."""
    whole = [unsent for unsent in left if not (unsent.has or unsent.unknown)]
    etags = dict.fromkeys(etag for unsent in (due, *whole) for etag in unsent.etags)
    merged = [replace(due, etags=list(etags))] if etags else []
    return [*merged, *(unsent for unsent in left if unsent not in whole)]
