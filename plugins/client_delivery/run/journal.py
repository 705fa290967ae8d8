"""How far one attempt at a file has come: kept in the ledger, so that the next attempt resumes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from client_delivery.transfer.arrived import to_arrive

if TYPE_CHECKING:
    from client_delivery.ledger.entry import Entry
    from client_delivery.ledger.table import Ledger
    from client_delivery.transfer.progress import Progress

_CONFIRMATION_VALID = 2.0
"""For this many seconds, an attempt's start counts as its confirmation: small files need no second look."""


class LedgerJournal:
    """The engine's :class:`~client_delivery.transfer.contract.Journal` of one attempt, kept in the ledger."""

    def __init__(self, ledger: Ledger, entry: Entry, progress: Progress) -> None:
        self._ledger = ledger
        self._entry = entry
        self._progress = progress
        self._confirmed = time.monotonic()
        self.state = entry.resume
        """What was last kept."""

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Keep the resume state. Raises :class:`Superseded`."""
        self._ledger.checkpoint(self._entry, state)
        self.state = state
        self._progress.expect(to_arrive(state, self._entry.size))
        self._confirmed = time.monotonic()

    def confirm(self) -> None:
        """Raises :class:`Superseded` if the file is no longer this attempt's (R3.5)."""
        if time.monotonic() - self._confirmed > _CONFIRMATION_VALID:
            self._ledger.confirm(self._entry)

    def resumed(self, there: int) -> None:
        """Report the bytes that an earlier attempt delivered."""
        self._progress.resumed(there)

    def progress(self, moved: int) -> None:
        """Report bytes that the destination has accepted."""
        self._progress(moved)
