"""One attempt to send a brief message: its possible errors, and the connections it needs."""

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
    """It did not arrive, and a retry may help soon."""


def trouble(rule: NotifyRule, what: str, *, unknown: bool = False) -> NotificationError:
    """The error that names the rule's connection, and never its address."""
    return NotificationError(
        f"The message did not go to {rule.where}: {what}.", unknown=(rule.key,) if unknown else (), final=False
    )


@dataclass(frozen=True, repr=False)
class Address:
    """An HTTP connection's address for messages. Either field may be a secret."""

    password: str
    host: str


class Hooks(Protocol):
    """What the scheduler's connections open. No exception contains their addresses."""

    def address(self, rule: NotifyRule) -> Address:
        """The address of the rule's connection. Raises :class:`NotificationError` if no readable one exists."""

    def session(self, rule: NotifyRule) -> Session:
        """For HTTP, with the connection's proxies, certificates and headers.

        Raises :class:`NotificationError`.
        """

    def aws(self, connection_id: str | None, service: str, region: str | None, seconds: float) -> Any:
        """A client of an AWS service that makes each call once, within so many seconds.

        :param connection_id: None for the environment's own identity.
        """
