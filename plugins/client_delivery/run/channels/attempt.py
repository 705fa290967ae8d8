"""One attempt to send a brief message: what may be wrong with it, and what opens its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from client_delivery.notify.sending import NotificationError

if TYPE_CHECKING:
    from requests import Session

    from client_delivery.config.notify import NotifyRule

CONNECT_SECONDS = 5.0


class Lost(Exception):
    """It is not known whether the message arrived."""


class NotNow(Exception):
    """It did not arrive, and may in a moment."""


def trouble(rule: NotifyRule, what: str, *, unknown: bool = False) -> NotificationError:
    """The error that names the connection of the rule, and never where it leads."""
    return NotificationError(
        f"The message did not go to {rule.where}: {what}.", unknown=(rule.key,) if unknown else (), final=False
    )


@dataclass(frozen=True, repr=False)
class Address:
    """What an HTTP connection says of where messages go. Either may be a secret."""

    password: str
    host: str


class Hooks(Protocol):
    """What the scheduler's connections open. Nothing that is raised says where they lead."""

    def address(self, rule: NotifyRule) -> Address:
        """Of the rule's connection. Raises :class:`NotificationError` if there is none, or none that can be read."""

    def session(self, rule: NotifyRule) -> Session:
        """For HTTP, with what the connection says of proxies, certificates and headers.

        Raises :class:`NotificationError`.
        """

    def aws(self, connection_id: str | None, service: str, region: str | None, seconds: float) -> Any:
        """A client of an AWS service that makes each call once, within so many seconds.

        :param connection_id: None for the environment's own identity.
        """
