"""The DAG of a delivery as releases before decision 0034 had it: nine tasks, of which four are gone.

The steps that such a DAG had done by the time it is replaced are the product's own; the others do nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, TriggerRule

from client_delivery.building.delivery import _dag
from client_delivery.config.loader import load_directory
from client_delivery.config.model import ClientConfig
from client_delivery.dag import configs_directory
from client_delivery.operators.form import form_of
from client_delivery.operators.notify import NotifyFinishedOperator, NotifyStartedOperator
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.transfer_batch import TransferBatchOperator


class Former(BaseOperator):
    """A task that is gone."""

    def __init__(self, *, seconds: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seconds = seconds

    def execute(self, context: Any) -> None:
        """Takes a while."""
        time.sleep(self.seconds)


def older_dags(dags_folder: Path, health_check: float) -> Iterator[DAG]:
    """One for each configuration; the health check takes so many seconds."""
    for loaded in load_directory(configs_directory(dags_folder)):
        if loaded.config is not None:
            yield _older_dag(loaded.config, health_check)


def _older_dag(config: ClientConfig, health_check: float) -> DAG:
    # Not by build_dag: Airflow registers every DAG that has been a context, and two would have one id.
    dag = _dag(config.name, schedule=None, params=form_of(config))
    known: dict[str, Any] = {"config": config, "problem": ""}
    late: dict[str, Any] = {"trigger_rule": TriggerRule.ALL_DONE_MIN_ONE_SUCCESS}
    with dag:
        first = Former(task_id="health_check", seconds=health_check)
        detect = Former(task_id="detect_files")
        register = RegisterFilesSensor(**known, task_id="register_files")
        started = NotifyStartedOperator(**known, task_id="notify_started")
        transfer = TransferBatchOperator.partial(task_id="transfer_batch", **known).expand(batch=register.output)
        settle = Former(**late, task_id="settle")
        finished = NotifyFinishedOperator(**known, task_id="notify_finished")
        deactivate, report = Former(**late, task_id="deactivate"), Former(**late, task_id="report")
        first >> detect >> register >> [started, transfer] >> settle >> finished >> deactivate >> report
        [register, settle] >> deactivate
        transfer >> report
    return dag
