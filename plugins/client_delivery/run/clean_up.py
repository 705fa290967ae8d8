"""Removes what an attempt at a file leaves behind: the source in the pick-up, a prepared copy, and what lies at the
destination for an attempt that will not come.

None of it decides about the file: what cannot be removed now is logged, and goes later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from client_delivery.pickup.pickup import PickupError

if TYPE_CHECKING:
    from client_delivery.ledger.entry import Entry
    from client_delivery.ledger.table import Ledger
    from client_delivery.pickup.disposal import Disposal
    from client_delivery.transfer.contract import Destination
    from client_delivery.transfer.prepared import Prepared
    from client_delivery.transfer.treatment.destination import TreatedDestination


class Log(Protocol):
    """Of events about files."""

    def __call__(self, event: str, entry: Entry, *, level: int = ..., **fields: Any) -> None:
        """Log one event."""


class CleanUp:
    """Removes what one batch leaves behind."""

    def __init__(self, ledger: Ledger, disposal: Disposal, log: Log) -> None:
        self._ledger = ledger
        self._disposal = disposal
        self._log = log

    def discard(self, destination: Destination | None, entry: Entry, state: Mapping[str, Any] | None) -> None:
        """No attempt continues from this state: remove what lies at the destination for one."""
        if destination is None or not state:
            return
        try:
            destination.discard(entry.arrives_as, state)
        except Exception as error:
            self._log("leftovers_not_removed", entry, level=logging.WARNING, error=type(error).__name__)

    def remove_prepared(self, destination: Destination | None, entry: Entry, prepared: Prepared) -> None:
        """Remove the prepared copy that was delivered; if that fails now, it expires after seven days.

        Only a destination that treats files has one to deliver.
        """
        try:
            cast("TreatedDestination", destination).remove(prepared)
        except Exception as error:
            self._log(
                "prepared_not_removed", entry, level=logging.WARNING, key=prepared.key, error=type(error).__name__
            )

    def dispose(self, entry: Entry) -> None:
        """R5.6, R5.8: the delivered file's source goes at once. If that fails, the next run retries."""
        at = datetime.fromisoformat(entry.timestamp)
        try:
            if self._disposal.keeps:
                return
            kept = self._disposal.clear_away([entry.source], at)
        except PickupError as error:
            self._log("source_not_removed", entry, level=logging.ERROR, error=str(error))
            return
        archived = None if kept else self._disposal.archived_to(entry.source, at)
        self._log("source_kept" if kept else "source_removed", entry, archived_to=archived)
        if not kept:
            try:
                self._ledger.removed([entry], lambda _: archived)
            except Exception as error:
                # The file is delivered and gone; without this note, people could not see that, or find the copy.
                self._log("removal_not_noted", entry, level=logging.ERROR, error=type(error).__name__, kept=archived)
