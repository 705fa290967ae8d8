"""R4.2: entries that a dead run left active; and whether the pick-up still belongs to this client (R3.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from client_delivery.run.errors import CannotGoOn
from client_delivery.run.leftovers import deactivate

if TYPE_CHECKING:
    from client_delivery.ledger.entry import Entry
    from client_delivery.run.context import Run


class AnotherRunUnderWay(CannotGoOn):
    """Only one run of a client may work at a time (R4.1). Waiting helps."""

    retry_helps = True


class AnotherClient(CannotGoOn):
    """The pick-up has been delivered for another client number. Only a person can say which is right."""


def take_stock(run: Run) -> int:
    """Set inactive what dead runs left active, and follow an edit of the delivery key; returns how many were active.

    An active entry belongs to a run that died, unless Airflow says that the run is under way. Setting an entry inactive
    locks out any process of the dead run that is still alive (R3.5); the next steps resume unfinished entries (R4.6).
    If an edit of the YAML gave the pick-up another delivery key, the unfinished and held entries of the old one are
    taken over. Raises :class:`AnotherRunUnderWay`, :class:`AnotherClient`.
    """
    _require_same_client(run)
    abandoned = [entry for entry in run.ledger.open_entries() if entry.active]
    _deactivate(run, abandoned)
    return len(abandoned) + _take_over(run)


def _deactivate(run: Run, abandoned: Sequence[Entry]) -> None:
    if others := run.others_under_way(abandoned):
        named = ", ".join(f"{ref.run_id} of the DAG {ref.dag_id or run.config.name}" for ref in others)
        raise AnotherRunUnderWay(
            f"Another run for {run.config.delivery_key} is under way: {named}. Only one run of a client may be at "
            "work, so this one has done nothing; its next try checks again. If that run hangs, mark it as failed "
            "in the Airflow UI: the next run then takes over its files."
        )
    deactivate(run, abandoned)


def _require_same_client(run: Run) -> None:
    config, keys = run.config, run.delivery_keys
    if not keys:
        return
    before = keys[-1].partition("#")[0]
    if before not in {config.client_h_number, *config.formerly}:
        raise AnotherClient(
            f"The pick-up {run.place} has been delivered for client {before}, but {config.name}.yaml now says "
            f"client_h_number: {config.client_h_number}. Nothing was sent. If the number is wrong, correct it. If "
            f"it is the same client under a new number, add `formerly: [{before}]`: files that were sent before "
            "are then not sent again. If it is a different client, give it its own pick-up prefix."
        )


def _take_over(run: Run) -> int:
    """The unfinished and held entries under the pick-up's earlier key."""
    if run.delivery_keys[-1:] == [run.config.delivery_key]:
        return 0
    left_active = 0
    for earlier in run.earlier_ledgers:
        entries = [*earlier.open_entries(), *earlier.held_entries()]
        ours = [entry for entry in entries if entry.file_path.startswith(run.place)]
        active = [entry for entry in ours if entry.active]
        _deactivate(run, active)
        taken = run.ledger.adopt(list(earlier.find(entry.identity for entry in ours).values()), earlier)
        if taken:
            run.log_event("entries_taken_over", earlier_key=earlier.delivery_key, entries=len(taken))
        left_active += len(active)
    if run.delivery_keys:
        run.log_event("delivery_key_changed", earlier_key=run.delivery_keys[-1])
        run.registry.use(run.config.delivery_key, run.delivery_keys)
    return left_active
