"""The DAGs that are no client's: one keeps Airflow's database small, one says which settings are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG

from client_delivery.config.describe import describe_settings_error
from client_delivery.operators.callbacks import note_red_cleanup
from client_delivery.operators.configuration_error import ConfigurationErrorOperator
from client_delivery.operators.database_cleanup import DatabaseCleanupOperator

ALLOWED_RUN_TYPES: Any = ("scheduled", "manual")
"""By schedule and by hand: no backfill, and no run that an asset starts (R4.1, R4.7)."""
SETTINGS_DAG = "delivery-settings"
"""No configuration can have this name."""
CLEANUP_DAG = "database-cleanup"
"""No client's name has a dash."""


def build_cleanup_dag(environment: str, *, keep_days: int) -> DAG:
    """The DAG that keeps Airflow's database small, on MWAA only: nothing else does (``docs/operators/upkeep.md``)."""
    with DAG(
        dag_id=CLEANUP_DAG,
        description=(
            f"Removes Airflow's own history older than {keep_days} days. Does not touch the ledger or any file."
        ),
        schedule="30 1 * * 6",  # a day before MWAA's maintenance, when the fewest files come
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,
        allowed_run_types=ALLOWED_RUN_TYPES,
        tags={"maintenance"},
        doc_md=DatabaseCleanupOperator.__doc__,
        default_args={"owner": "platform", "on_failure_callback": note_red_cleanup},
    ) as dag:
        DatabaseCleanupOperator(
            task_id="clean",
            environment=environment,
            keep_days=keep_days,
            retries=5,
            retry_delay=timedelta(minutes=10),
        )
    return dag


def build_settings_dag(wrong: Sequence[str]) -> DAG:
    """The DAG that exists while a setting of the environment is wrong: red, and it says what is wrong."""
    with DAG(
        dag_id=SETTINGS_DAG,
        description="Settings of this environment are wrong: they are treated as not set until they are corrected",
        schedule="@hourly",
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        allowed_run_types=ALLOWED_RUN_TYPES,
        is_paused_upon_creation=False,
        tags={"config-error"},
        doc_md=describe_settings_error(wrong),
        default_args={"owner": "platform"},
    ) as dag:
        ConfigurationErrorOperator(
            task_id="configuration_error",
            message="\n".join(wrong),
            advice="A wrong setting is treated as not set. docs/operators/settings.md lists all settings; on MWAA "
            "they are the Airflow configuration options delivery.<name>.",
        )
    return dag
