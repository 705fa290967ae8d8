"""What all SFTP servers of the test bench have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from local.sshd import SftpServer


class Running(Protocol):
    """A server that runs."""

    server: SftpServer
    log_file: Path
    """What it said."""

    def stop(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Orders:
    """What a server is told to do, beside serving. Not every family can be told everything."""

    largest_file: int | None = None
    """Bytes that a file may have: what is behind them does not fit, as on a full disk or behind a quota."""
    refuse_rename: bool = False
    """Permissions that leave out renaming. See :attr:`Family.can_refuse_rename`."""


NO_ORDERS = Orders()


@dataclass(frozen=True)
class Family:
    """One kind of SFTP server, and how to get and start it."""

    name: str
    title: str
    """For tables: what it is, and who runs such a thing."""
    start: Callable[[Path, Orders], Running]
    """In a directory that does not exist yet."""
    missing: Callable[[], str | None] = field(default=lambda: None)
    """Why it cannot be started here, and how to get it; None if it can."""
    can_refuse_rename: bool = True
