"""Which arrival has started a run: one item in the client's partition of the ledger table, if its pick-up is watched.

Several watchers may see the same arrival, and one that is restarted sees it again before the run has registered
anything. The first watcher that notes it here starts the run.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from client_delivery.ledger.looks import Looks
from client_delivery.runtime.backoff import Backoff

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_ITEM = "mark#drop"
_AGAIN = Backoff(first=300.0, longest=6 * 3600.0, jitter=False)
"""Seconds until the same files may start another run: the first may never have begun (its event was lost, or its DAG
paused), or it may have failed over and over, which every run reports."""


class Drops:
    """One client's mark."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, delivery_key: str) -> None:
        self._looks = Looks(dynamodb, table, delivery_key, _ITEM)

    def claim(self, digest: str, now: datetime) -> datetime | None:
        """Claim the right to start a run for the files that ``digest`` stands for; None if it is ours.

        Otherwise, the time from which another may be started for the very same files.
        """
        last, times = self._looks.last(consistent=True), 1
        if last is not None and (before := last[1]["all"])["digest"] == digest:
            again = datetime.fromisoformat(before["againAt"])
            if now < again:
                return again
            times += before["times"]
        again = now + timedelta(seconds=_AGAIN.pause(times))
        after = {"digest": digest, "againAt": again.isoformat(), "times": times}
        return None if self._looks.keep(last and last[0], now, {"all": after}) else again
