"""The kinds of news: what each is about, its e-mail and its brief message (R7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from client_delivery.config.notify import Audience, Occasion

if TYPE_CHECKING:
    from email.message import EmailMessage

    from client_delivery.notify.acknowledgements import Unacknowledged
    from client_delivery.notify.brief import Brief
    from client_delivery.notify.expected import About, Late
    from client_delivery.notify.expiring import Expiring
    from client_delivery.notify.messages import JobSummary


@dataclass(frozen=True)
class OfJob:
    """The outcome of a delivery, or the held files."""

    occasion: Occasion
    summary: JobSummary


@dataclass(frozen=True)
class OfLate:
    """Files that are expected."""

    late: Late
    about: About

    @property
    def kind(self) -> str:
        """What the log calls it."""
        return self.late.news.replace(" ", "_")

    def mail(self, sender: str, recipients: Sequence[str], *, to_client: bool = False) -> EmailMessage:
        """The e-mail."""
        from client_delivery.notify import expected

        return expected.message(self.late, self.about, sender, recipients, to_client=to_client)

    def brief(self, id_: str, audience: Audience, at: datetime) -> Brief:
        """The message to a channel."""
        from client_delivery.notify import brief

        return brief.of_late(id_, self.late, self.about, audience, at)

    @property
    def occasion(self) -> Occasion:
        """The word of ``on`` for it."""
        from client_delivery.calendar.expectation import News

        return Occasion.RECOVERED if self.late.news is News.CAME_LATE else Occasion.LATE


@dataclass(frozen=True)
class OfKeys:
    """Keys that expire, or are too old, soon."""

    keys: Sequence[Expiring]
    about: About
    occasion: ClassVar[Occasion] = Occasion.EXPIRING
    kind: ClassVar[str] = str(Occasion.EXPIRING)

    def mail(self, sender: str, recipients: Sequence[str], *, to_client: bool = False) -> EmailMessage:
        """The e-mail."""
        from client_delivery.notify import expiring

        return expiring.message(self.keys, self.about, sender, recipients, to_client=to_client)

    def brief(self, id_: str, audience: Audience, at: datetime) -> Brief:
        """The message to a channel."""
        from client_delivery.notify import brief

        return brief.of_keys(id_, self.keys, self.about, audience, at)


@dataclass(frozen=True)
class OfAcknowledgements:
    """Acknowledgements that a recipient owes, or that came late."""

    told: Unacknowledged
    about: About

    @property
    def kind(self) -> str:
        """What the log calls it."""
        return f"acknowledgements_{self.told.news.replace(' ', '_')}"

    @property
    def occasion(self) -> Occasion:
        """The word of ``on`` for it."""
        from client_delivery.notify.acknowledgements import AckNews

        return Occasion.RECOVERED if self.told.news is AckNews.CAME else Occasion.LATE

    def mail(self, sender: str, recipients: Sequence[str], *, to_client: bool = False) -> EmailMessage:
        """The e-mail."""
        from client_delivery.notify import acknowledgements

        return acknowledgements.message(self.told, self.about, sender, recipients, to_client=to_client)

    def brief(self, id_: str, audience: Audience, at: datetime) -> Brief:
        """The message to a channel."""
        from client_delivery.notify import brief

        return brief.of_acknowledgements(id_, self.told, self.about, audience, at)


Told = OfJob | OfLate | OfKeys | OfAcknowledgements
