"""Whether something has arrived that starts a run (R4.1): one request, as long as nothing has.

A watcher never decides what is sent. It starts a run, which looks by itself; and it starts none for files that the
ledger knows as sent, under way or held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from client_delivery.access.aws import identity_for, watching_dynamodb_client, watching_s3_client
from client_delivery.ledger.life import RunRef
from client_delivery.pickup.glimpse import Glimpse, glimpse
from client_delivery.run.context import Run

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from client_delivery.config.model import ClientConfig

_CALM = timedelta(minutes=30)
"""Seconds without another request to the ledger about an unchanged pick-up. Nothing depends on it: only runs change
what the ledger knows about these files, and the schedule repeats a run that leaves a new file."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something has arrived that starts a run."""

    digest: str
    files: int
    """New files; none if a done file is alone."""


@dataclass(frozen=True)
class _WatchedRun(Run):
    """A look like that of a scheduled run, with connections that all watched clients share."""

    @cached_property
    def source_s3(self) -> S3Client:
        """Of all clients with this identity."""
        return watching_s3_client(**identity_for(self.config.pickup))

    @cached_property
    def _dynamodb(self) -> DynamoDBClient:
        return watching_dynamodb_client()


class Watch:
    """Looks at one client's pick-up repeatedly. Not for several threads at the same time.

    Its memory only saves requests: the pick-up and the ledger decide whether a run starts.
    """

    def __init__(self, config: ClientConfig, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.config = config
        self._clock = clock
        self._known: str | None = None
        """The digest of a pick-up that holds nothing new."""
        self._known_until = datetime.min.replace(tzinfo=UTC)
        self.requests = 1
        """How many requests the last look's listing took."""

    def look(self) -> Arrival | None:
        """The arrival that is to start a run now, if any. Sends no request while the client's window is closed.

        Raises what S3, DynamoDB or the token service raise.
        """
        now = self._clock()
        run = self._run()
        if run.closed_until(now):
            return None
        seen = glimpse(run.pickup, self.config, now)
        self.requests = seen.requests
        if seen.digest is None or (seen.digest == self._known and now < self._known_until):
            return None
        found = run.look()
        files = found.unknown + found.rearm
        if files or found.done_file is not None:
            return Arrival(seen.digest, files)
        self._calm(seen, now + _CALM)
        return None

    def claim(self, arrival: Arrival) -> bool:
        """Whether this watcher is to start a run for it: no other watcher does, or has lately."""
        now = self._clock()
        again = self._run().drops.claim(arrival.digest, now)
        if again is not None:
            self._known, self._known_until = arrival.digest, min(again, now + _CALM)
        return again is None

    def _calm(self, seen: Glimpse, until: datetime) -> None:
        if seen.settled:
            self._known, self._known_until = seen.digest, until

    def _run(self) -> _WatchedRun:
        return _WatchedRun(self.config, RunRef("watch", 0, self.config.name), _params(self.config))


def _params(config: ClientConfig) -> dict[str, Any]:
    """The trigger form's parameters in a scheduled run."""
    return {
        "bypass_file_checks": config.bypass_file_checks,
        "resend_failed": False,
        "file_pattern": None,
        "ignore_done_file": False,
        "ignore_window": False,
        "send_notifications": False,
    }
