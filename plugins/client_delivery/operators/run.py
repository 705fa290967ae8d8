"""A task's run, from what Airflow tells the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.life import RunRef
from client_delivery.operators.states import state_of_run
from client_delivery.run.context import Run
from client_delivery.runtime.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.config.model import ClientConfig
    from client_delivery.transfer.secret import Secret


def run_in(context: Context, config: ClientConfig, params: Mapping[str, Any] | None = None) -> Run:
    """The run that ``context`` belongs to; ``params`` are those that it began with, where they are known."""
    owner = run_ref(context)
    dag_run: Any = context["dag_run"]
    return Run(
        config,
        owner,
        context["params"] if params is None else params,
        state_of=partial(state_of_run, context["ti"], owner.dag_id),
        asked_by=getattr(dag_run, "triggering_user_name", None) if owner.generation == 0 else None,
        note=getattr(dag_run, "note", None) or _reason(dag_run),
        secret_of=_secret_of,
        stop_containers=_stop_containers,
    )


def run_ref(context: Context) -> RunRef:
    """The run, and the life of it, that ``context`` belongs to."""
    dag_run = context["dag_run"]
    return RunRef(dag_run.run_id, getattr(dag_run, "clear_number", None) or 0, dag_run.dag_id)


def _secret_of(connection_id: str) -> Secret:
    from client_delivery.operators.connections import secret_of

    return secret_of(connection_id)


def _stop_containers(delivery_key: str, reason: str) -> Sequence[str]:
    offload = Settings.from_environment().offload
    if offload is None:
        return ()
    # Imported here: Airflow's ECS operator costs seconds, which every task of every client would pay.
    from client_delivery.operators.offload import stop_containers

    return stop_containers(offload, delivery_key, reason)


def _reason(dag_run: Any) -> str | None:
    """Why the run was triggered: the Deliveries page says so in its parameters, for a task is not told the note."""
    reason = (getattr(dag_run, "conf", None) or {}).get("reason")
    return reason if isinstance(reason, str) and reason else None
