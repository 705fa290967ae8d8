"""What Airflow calls when a task has failed after its last retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.operators.alarms import alarm_line
from client_delivery.operators.base import DeliveryOperator
from client_delivery.operators.idle import HeldFiles
from client_delivery.operators.run import run_in
from client_delivery.run.questions import QUESTIONS

if TYPE_CHECKING:
    from airflow.sdk import Context


def note_red_task(context: Context) -> None:
    """Raise the alarm of a delivery's red task, and note it on the board.

    The end of a run has an event of its own (``run_failed``), and the answer to a question delivers nothing.
    """
    task = context["task"]
    if not isinstance(task, DeliveryOperator) or task.task_id == "report" or task.task_id in QUESTIONS.values():
        return
    task.alarm("task_red")
    # The ledger says what happened to files, and the board says which are held.
    if task.config is None or task.task_id == "transfer_batch" or isinstance(context.get("exception"), HeldFiles):
        return
    name, run = task.config.name, run_in(context, task.config)
    ref = f"{run.owner.dag_id}/{run.owner.run_id}"
    run.note_on_board(lambda board: board.troubled(name, run.facts, task=task.task_id, run=ref))


def note_red_cleanup(context: Context) -> None:
    """Raise the same alarm for the clean-up: it names the DAG instead of a client."""
    alarm_line("task_red", client=context["task"].dag_id, configuration=context["task"].dag_id)
