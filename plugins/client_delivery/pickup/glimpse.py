"""What one request says of a pick-up, to tell whether anything has come since the last time.

A look (:mod:`client_delivery.pickup.survey`) asks the ledger about each file; a glimpse asks only S3: for the done file
where there is to be one, otherwise for the listing. It is what a client that is watched costs between two arrivals.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from client_delivery.config.model import ClientConfig
    from client_delivery.pickup.pickup import Pickup

PAGE = 1000
"""Objects that S3 lists in one response."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What waits, as far as one request says."""

    digest: str | None = None
    """Of names, ETags and times; the same for the same objects. None if nothing waits."""
    settled: bool = True
    """Whether no file was left out because somebody may still be writing it: then the same digest says nothing new."""
    requests: int = 1
    """Requests to S3 that it took."""


def glimpse(pickup: Pickup, config: ClientConfig, now: datetime) -> Glimpse:
    """Ask S3, and nobody else. Raises :class:`~client_delivery.pickup.pickup.PickupError`.

    A client with a done file is asked about by it alone: the missing bucket that looks like a missing done file is told
    by the runs.
    """
    digest = hashlib.sha256()
    if config.trigger_on_done_file:
        done = pickup.done_file(sure=False)
        if done is None:
            return Glimpse()
        digest.update(f"{done.etag} {done.last_modified.isoformat()}".encode())
        return Glimpse(digest.hexdigest())
    wait = config.guards.stable_for if config.guards is not None else None
    listed = taken = unsettled = 0
    for file, matches in pickup.everything():
        listed += 1
        if not matches:
            continue
        if wait is not None and now - file.last_modified < wait:
            unsettled += 1
            continue
        taken += 1
        # A name may hold anything but what UTF-8 has not: S3's keys are UTF-8.
        digest.update(f"{file.etag} {file.last_modified.isoformat()} {len(file.name)} {file.name}".encode())
    return Glimpse(digest.hexdigest() if taken else None, not unsettled, 1 + max(0, listed - 1) // PAGE)
