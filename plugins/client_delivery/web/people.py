"""Who did what to a client: the ledger's record with its reasons, and what Airflow's own log has besides."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from client_delivery.ledger.acts import Act
from client_delivery.ledger.life import RunRef
from client_delivery.web.access import Happened

_SAME = timedelta(minutes=30)
"""A run that waits for its turn notes some time later that it was triggered."""


def people(acts: Iterable[Act], events: Iterable[Happened], dag_id: str) -> list[Act]:
    """Newest first, each thing once.

    Airflow does not tell a task who cleared its run: its log of events does, as long as it keeps the event.
    """
    rest = sorted(events, key=lambda one: one.at)
    known = []
    for act in sorted(acts, key=lambda one: one.at):
        run = RunRef.parse(act.run) if act.run else None
        # Airflow's log does not say which run was triggered (3.2.1).
        same = [one for one in rest if run and one.run_id in ("", run.run_id) and _tells(act, one)]
        if same:
            rest.remove(same[-1])
        by = act.by or (same[-1].by if same else None)
        known.append(Act(act.at, act.what, act.run, by, act.why))
    known += [
        Act(one.at, one.what, f"{dag_id}/{one.run_id}/0" if one.run_id else "", one.by)
        for one in rest
        if one.what != "triggered a run" or not any(one.run_id and one.run_id in act.run for act in known)
    ]
    return sorted(known, key=lambda act: _instant(act.at), reverse=True)


def _tells(act: Act, event: Happened) -> bool:
    """Whether the log's event is what the act is about."""
    kind = "cleared" if act.what.startswith("cleared") else "triggered"
    between = _instant(act.at) - _instant(event.at)
    by_whom = act.by in (None, event.by)
    return event.what.startswith(kind) and by_whom and timedelta() <= between < _SAME


def _instant(at: str) -> datetime:
    return datetime.fromisoformat(at)
