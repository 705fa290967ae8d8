"""Entries that a run which is over left active (R4.2): logged, its containers stopped, the entries set inactive."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from client_delivery.run.notes import file_fields

if TYPE_CHECKING:
    from client_delivery.ledger.configurations import Begun
    from client_delivery.ledger.entry import Entry
    from client_delivery.run.context import Run


def deactivate(run: Run, abandoned: Sequence[Entry]) -> None:
    """Set the entries inactive, so that they can be resumed, and lock out attempts that still run (R3.5)."""
    for entry in abandoned:
        run.log_event("entry_left_active", level=logging.ERROR, left_by=str(entry.owned_by), **file_fields(entry))
    if not abandoned:
        return
    # Before the entries are inactive: a try that dies here leaves them for the next one to find.
    for key in {entry.delivery_key for entry in abandoned}:
        for arn in run.stop_containers(key, f"left over; {run.owner} begins"):
            run.log_event("container_left_over_stopped", level=logging.WARNING, task=arn)
    run.ledger.deactivate([entry for entry in abandoned if entry.delivery_key == run.ledger.delivery_key])


def deactivate_of_removed(run: Run, begun: Begun) -> str:
    """Set inactive what the last run of a removed file left active, if that run is over; returns what was done.

    :param run: a run of the DAG that is still there for the file, with the configuration of its last run.
    :param begun: what that last run began with.
    """
    abandoned = [entry for entry in run.ledger.open_entries() if entry.active]
    if others := run.others_under_way(abandoned):
        return f"\nIts last run is still under way, and ends as it began: {', '.join(map(str, others))}."
    run.ledger.deactivate(abandoned)
    run.forget(begun)
    return f"\nIts last run left files active; set inactive: {len(abandoned)}. This DAG now goes away."
