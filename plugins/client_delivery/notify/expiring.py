"""The e-mail about keys that expire or are too old soon: pure functions. A key is called by its fingerprint or id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from enum import StrEnum

from client_delivery.notify.expected import About, facts_for_the_team
from client_delivery.notify.rendering import counted, rendered
from client_delivery.notify.untrusted import printable

TITLE = "Keys expire"


class KeyKind(StrEnum):
    """What a key is for, as people call it; the ledger has these words."""

    RECIPIENT = "OpenPGP key of a recipient"
    SIGNING = "our OpenPGP signing key"
    SSH = "our SSH key"
    HOST = "the server's host key"
    ACCOUNT = "service-account key"


_ADVICE = {
    KeyKind.RECIPIENT: "Ask the recipient for their new public key and put it beside the old one (encrypt.recipients).",
    KeyKind.SIGNING: "Extend our signing key, or store a new one and give its public half to the recipient.",
    KeyKind.SSH: "Make a new SSH key, have its public half installed on the server, then store it in the connection.",
    KeyKind.HOST: "Ask the server's owner whether they change it, and list the new key beside the old one (host_keys).",
    KeyKind.ACCOUNT: "Have a new key made for the service account, store it in the connection, then have the old one "
    "removed.",
}
TO_CLIENT = "Please agree with your contact on the next key before that day."
"""What the message says to the client instead of the advice to the team."""


@dataclass(frozen=True, slots=True)
class Expiring:
    """One key whose end is near, or has come."""

    kind: KeyKind
    id: str
    """A fingerprint, or the id of a service account's key."""
    ends: datetime
    days: int
    """Until then; negative if it has passed."""
    by_age: bool
    """It has not expired by then but reaches the age that this environment accepts (setting ``key_max_age_days``)."""

    @property
    def words(self) -> str:
        """As one line."""
        if self.by_age:
            verb = "reached the accepted age" if self.days < 0 else "reaches the accepted age"
        else:
            verb = "expired" if self.days < 0 else "expires"
        when = "today" if self.days == 0 else f"{counted(abs(self.days), 'day')} ago" if self.days < 0 else ""
        when = when or f"in {counted(self.days, 'day')}"
        return f"{self.kind} {printable(self.id)}: {verb} on {self.ends.astimezone(UTC):%Y-%m-%d}, {when}"


def headline(keys: Sequence[Expiring]) -> str:
    """How many, and how near."""
    least = min(key.days for key in keys)
    when = "now" if least <= 0 else f"in {counted(least, 'day')}"
    return f"{counted(len(keys), 'key')}, {'the first ' if len(keys) > 1 else ''}{when}"


def advice_on(keys: Sequence[Expiring]) -> str:
    """What the team is to do."""
    return " ".join(dict.fromkeys(_ADVICE[key.kind] for key in keys))


def message(
    keys: Sequence[Expiring], about: About, sender: str, recipients: Sequence[str], *, to_client: bool = False
) -> EmailMessage:
    """The e-mail about one client's keys.

    :param to_client: it speaks to the client: nothing of paths, runs and buttons.
    """
    said = headline(keys)
    shown = {
        "title": TITLE,
        "headline": said,
        "tone": "failed",
        "client": printable(about.client),
        "environment": printable(about.environment or ""),
        "facts": [
            ("Client H number", printable(about.client)),
            *([] if to_client else facts_for_the_team(about)),
        ],
        "run_url": None if to_client else about.run_url,
        "deliveries_url": None if to_client else about.deliveries_url,
        "names_are": "Keys",
        "names": [key.words for key in keys],
        "more": 0,
        "advice": TO_CLIENT if to_client else advice_on(keys),
    }
    where = f"{about.environment}: " if about.environment else ""
    return rendered("expected", shown, f"{where}[{about.client}] {TITLE}: {said}", sender, recipients)
