"""What Airflow says of runs and tasks, asked by a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

if TYPE_CHECKING:
    from client_delivery.ledger.life import RunRef


def state_of_run(task_instance: Any, dag_id: str, ref: RunRef) -> str | None:
    """The state of a run; None if there is none. A run of an older release's entry is taken for one of this DAG."""
    try:
        return str(task_instance.get_dagrun_state(dag_id=ref.dag_id or dag_id, run_id=ref.run_id))
    except AirflowRuntimeError as error:
        # The task SDK has no class for "not found": its detail carries the API server's response.
        if (error.error.detail or {}).get("status_code") == 404:
            return None
        raise


def states_of_tasks(task_instance: Any, dag_id: str, run_id: str, task_ids: Iterable[str]) -> Mapping[str, Any]:
    """The states of a run's tasks by their ids; without those that its DAG does not have."""
    states = task_instance.get_task_states(dag_id=dag_id, task_ids=list(task_ids), run_ids=[run_id])
    found: Mapping[str, Any] = states.get(run_id, {})
    return found
