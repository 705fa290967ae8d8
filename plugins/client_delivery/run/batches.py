"""A run's batches as an XCom describes them, and their names in the Airflow UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from client_delivery.config.problem import visible
from client_delivery.notify.sizes import human_size

if TYPE_CHECKING:
    from client_delivery.ledger.life import RunRef
    from client_delivery.pickup.intake import Take
    from client_delivery.transfer.plan import Plan

LONGEST_LABEL = 250
"""Characters that Airflow's column ``rendered_map_index`` takes. PostgreSQL refuses more, and with them the task's
start; SQLite takes anything."""


class BatchRef(TypedDict):
    """One batch as an XCom describes it: never the file list, which is in the ledger."""

    batch: int
    files: int
    bytes: int
    label: str
    """The name of the mapped task instance in the Airflow UI."""
    owner: str
    offloaded: bool
    """Whether a separate container sends it (R6.1)."""


class Share:
    """One batch as filled so far."""

    def __init__(self) -> None:
        self._files = 0
        self._bytes = 0
        self._first = ""

    def add(self, take: Take) -> None:
        """One more file."""
        self._first = self._first or take.file.name
        self._files += 1
        self._bytes += take.size

    def described(self, number: int, plan: Plan, owner: str) -> BatchRef:
        """The batch for its task."""
        what = "1 file" if self._files == 1 else f"{self._files} files"
        offloaded = number >= plan.worker
        before, after = f"batch {number + 1} of {plan.batches}: ", f", {human_size(self._bytes)}"
        if offloaded:
            room = LONGEST_LABEL - len(before) - len(after)
            what = _fitting("container for ", self._first if self._files == 1 else what, room)
        return BatchRef(
            batch=number,
            files=self._files,
            bytes=self._bytes,
            label=before + what + after,
            owner=owner,
            offloaded=offloaded,
        )


def nothing_to_send(owner: RunRef) -> BatchRef:
    """The batch of a run that only reports: Airflow skips a mapped task without instances, and with it the wind-up."""
    return BatchRef(batch=0, files=0, bytes=0, label="nothing to send", owner=str(owner), offloaded=False)


def _fitting(words: str, name: str, room: int) -> str:
    """The words and the name in ``room`` characters; of a longer name, its end, which distinguishes files.

    Characters that a terminal would act on are escaped; PostgreSQL would refuse a NUL, which S3 allows in a key.
    """
    shown = visible(name)
    room -= len(words)
    return words + (shown if len(shown) <= room else "…" + shown[-(room - 1) :])
