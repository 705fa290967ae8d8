"""Which DAGs there are: one for each configuration, and those that the environment itself needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from client_delivery.building.delivery import build_dag, build_error_dag, build_removed_dag
from client_delivery.building.upkeep import CLEANUP_DAG, SETTINGS_DAG, build_cleanup_dag, build_settings_dag
from client_delivery.config.loader import load_directory, load_file
from client_delivery.config.problem import ConfigError
from client_delivery.config.treatment_checks import require_prepared_area
from client_delivery.ledger.view import LedgerView
from client_delivery.operators.tasks import ERROR_TASK
from client_delivery.runtime.settings import problems, setting


def deliveries(dags_folder: Path) -> Iterator[DAG]:
    """One DAG for each client's YAML file (R1.4, R2.6), and one while a run whose file is gone ends (R4.7).

    In a task's own process only that task's DAG is built: Airflow parses this again for every task.
    """
    directory = configs_directory(dags_folder)
    context = get_parsing_context()
    if (environment := setting("mwaa_environment")) and context.dag_id in (None, CLEANUP_DAG):
        yield build_cleanup_dag(environment, keep_days=int(setting("airflow_history_days") or 30))
    if context.dag_id in (None, SETTINGS_DAG) and (wrong := problems()):
        yield build_settings_dag(wrong)
    if context.dag_id in (CLEANUP_DAG, SETTINGS_DAG):
        return
    if context.dag_id and context.task_id != ERROR_TASK:
        # What may only be there once in all files is the DAG processor's to check: reading the others again here would
        # cost every task of every client. A run that began before two files clashed still ends as it began.
        path = directory / f"{context.dag_id}.yaml"
        try:
            yield build_dag(load_file(path))
        except ConfigError as error:
            yield build_error_dag(context.dag_id, error) if path.exists() else build_removed_dag(context.dag_id)
        return
    ledger = LedgerView()
    found = set()
    rules = [require_prepared_area(setting("prepared_location"))]
    for loaded in load_directory(directory, rules, since=ledger.established):
        found.add(loaded.dag_id)
        if context.dag_id not in (None, loaded.dag_id):
            continue
        if loaded.config is not None:
            yield build_dag(loaded.config)
        elif loaded.error is not None:
            yield build_error_dag(loaded.dag_id, loaded.error, ledger.timing(loaded), ledger.client(loaded))
    for name in [context.dag_id] if context.dag_id else ledger.under_way():
        if name not in found:
            yield build_removed_dag(name)


def configs_directory(dags_folder: Path) -> Path:
    """Where the YAML files are: as set, or below the DAGs (MWAA), or beside them (a checkout)."""
    if configured := setting("configs_directory"):
        return Path(configured)
    deployed = dags_folder / "include" / "client_configs"
    return deployed if deployed.is_dir() else dags_folder.parent / "include" / "client_configs"
