"""The addressees of a message, and how it is written for them: the contacts, and each rule of ``notify`` (R7.1).

Every message passes through here: one place makes it (from ``told``), sends it and logs it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import TYPE_CHECKING, Protocol

from client_delivery.config.notify import Audience, Occasion
from client_delivery.run.told import OfJob, Told

if TYPE_CHECKING:
    from email.message import EmailMessage

    from mypy_boto3_ses import SESClient

    from client_delivery.config.notify import NotifyRule
    from client_delivery.ledger.life import RunRef
    from client_delivery.notify.brief import Brief
    from client_delivery.run.context import Run

REPEATABLE = ("webhook", "pagerduty", "eventbridge")
"""Channels by which a message whose response was lost is sent again: its id tells the receiver that it is the same."""


def _no_channel(rule: NotifyRule, brief: Brief, seconds: float) -> None:
    raise LookupError(f"Nothing here can send by {rule.via}.")


@dataclass(frozen=True)
class Post:
    """How messages leave, and where they point to."""

    ses: Callable[[], SESClient]
    """The mail service. It must make each call only once: a call whose response was lost may have sent the e-mail."""
    run_url: Callable[[RunRef], str | None]
    """A run's address in the Airflow UI."""
    deliveries_url: str | None = None
    """The page where the team sees the client's files."""
    to_channel: Callable[[NotifyRule, Brief, float], None] = _no_channel
    """Sends by a rule that is no e-mail, within so many seconds. Raises
    :class:`~client_delivery.notify.sending.NotificationError`, among others."""
    alarm: Callable[[str], None] = field(default=lambda name: None)
    """A line that an alarm counts by client."""


class Addressee(Protocol):
    """Some people, or a channel."""

    mark: str
    """The suffix of each of their claims in the ledger."""
    repeatable: bool
    """Whether a message that may have arrived may be sent again."""

    @property
    def recipients(self) -> Sequence[str]:
        """Those who are noted as having got a message, or not."""

    def send(self, told: Told, recipients: Sequence[str], id_: str, seconds: float) -> None:
        """Send to some of them, once. A :class:`~client_delivery.notify.sending.NotificationError` says who is left."""


class Contacts:
    """The contacts of the configuration, as in the statement of work."""

    mark = ""
    repeatable = False

    def __init__(self, run: Run, post: Post) -> None:
        self._run, self._post = run, post

    @property
    def recipients(self) -> Sequence[str]:
        """The current contacts."""
        return self._run.config.contacts

    def send(self, told: Told, recipients: Sequence[str], id_: str = "", seconds: float = 0) -> None:
        """Send the e-mail."""
        del id_, seconds
        self.mail(self._post.ses(), told, recipients)

    def mail(self, ses: SESClient, told: Told, recipients: Sequence[str]) -> None:
        """Like :meth:`send`, with a given mail service."""
        from client_delivery.notify import messages

        sender, contacts = self._run.settings.mail_sender, self._run.config.contacts
        if not isinstance(told, OfJob):
            kind, message = told.kind, told.mail(sender, contacts)
        else:
            builders = {Occasion.STARTED: messages.started, Occasion.HELD: messages.held}
            build: Callable[..., EmailMessage] = builders.get(told.occasion, messages.finished)
            kind, message = str(told.occasion), build(told.summary, sender, contacts)
        _send_mail(self._run, ses, message, recipients, kind=kind)


class EmailRule:
    """The addresses of one rule: the team's and the client's addresses get different wordings."""

    repeatable = False

    def __init__(self, run: Run, post: Post, rule: NotifyRule) -> None:
        self._run, self._post, self._rule = run, post, rule
        self.mark = mark_of(rule)

    @property
    def recipients(self) -> Sequence[str]:
        """The current addresses."""
        return self._rule.to

    def send(self, told: Told, recipients: Sequence[str], id_: str, seconds: float) -> None:
        """Send one e-mail for each audience that there is."""
        del id_, seconds
        from client_delivery.notify.sending import NotificationError

        sender, ses = self._run.settings.mail_sender, self._post.ses()
        has: list[str] = []
        for audience in Audience:
            those = [one for one in recipients if audience_of(one, self._rule, sender) is audience]
            if not those:
                continue
            try:
                _send_mail(
                    self._run, ses, self._message(told, audience, sender), those, kind=_kind(told), rule=self._rule.key
                )
            except NotificationError as error:
                error.has = (*has, *error.has)
                raise
            has += those

    def _message(self, told: Told, audience: Audience, sender: str) -> EmailMessage:
        from client_delivery.notify import brief, messages, to_client

        addresses = [one for one in self._rule.to if audience_of(one, self._rule, sender) is audience]
        if not isinstance(told, OfJob):
            return told.mail(sender, addresses, to_client=audience is Audience.CLIENT)
        summary, occasion = told.summary, told.occasion
        if audience is Audience.CLIENT:
            return to_client.message(summary, occasion, sender, addresses)
        if occasion is Occasion.STARTED:
            return messages.started(summary, sender, addresses)
        failed = any(file.status == "fail" and not file.replaced for file in summary.files)
        advice = brief.FOLLOW if failed else ""
        if occasion is Occasion.HELD:
            return messages.held(summary, sender, addresses)
        return messages.finished(summary, sender, addresses, title=brief.TITLES[occasion], advice=advice)


class ChannelRule:
    """A channel."""

    def __init__(self, run: Run, post: Post, rule: NotifyRule) -> None:
        self._run, self._post, self._rule = run, post, rule
        self.mark = mark_of(rule)
        self.repeatable = rule.via in REPEATABLE

    @property
    def recipients(self) -> Sequence[str]:
        """The channel itself."""
        return (self._rule.key,)

    def send(self, told: Told, recipients: Sequence[str], id_: str, seconds: float) -> None:
        """Send the brief message."""
        from client_delivery.notify import brief

        audience = Audience(self._rule.audience or Audience.TEAM)
        if not isinstance(told, OfJob):
            made = told.brief(id_, audience, datetime.now(UTC))
        else:
            made = brief.of_job(id_, told.occasion, told.summary, audience)
        self._post.to_channel(self._rule, made, seconds)
        self._run.log_event("message_sent", kind=_kind(told), rule=self._rule.key, message_id=id_)


def addressee_of(run: Run, post: Post, rule: NotifyRule) -> Addressee:
    """The addressee of a rule."""
    return EmailRule(run, post, rule) if rule.via == "email" else ChannelRule(run, post, rule)


def mark_of(rule: NotifyRule) -> str:
    """The ledger's name for a rule: short, whatever the topic's ARN."""
    return f"_{hashlib.sha256(rule.key.encode()).hexdigest()[:12]}"


def audience_of(address: str, rule: NotifyRule, sender: str) -> Audience:
    """The audience of an address: as the rule says, otherwise by the sender's domain.

    A domain and its subdomains belong together: ``example.org`` if e-mails come from ``mail.example.org``.
    """
    if rule.audience is not None:
        return Audience(rule.audience)
    own, theirs = (f".{one.rpartition('@')[2].lower()}" for one in (parseaddr(sender)[1], address))
    return Audience.TEAM if own.endswith(theirs) or theirs.endswith(own) else Audience.CLIENT


def _kind(told: Told) -> str:
    return str(told.occasion) if isinstance(told, OfJob) else told.kind


def _send_mail(
    run: Run, ses: SESClient, message: EmailMessage, recipients: Sequence[str], *, kind: str, rule: str | None = None
) -> None:
    """The one place where an e-mail leaves."""
    from client_delivery.notify.sending import send

    message_id = send(message, ses, recipients, run.settings.ses_configuration_set)
    run.log_event("mail_sent", kind=kind, recipients=len(recipients), message_id=message_id, rule=rule)
