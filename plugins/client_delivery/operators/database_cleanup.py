"""Airflow's own history, cleaned as AWS publishes it for Airflow 3 on MWAA.

Tasks of Airflow 3 cannot reach the metadata database, so the cleaning is Airflow's own command, ``airflow db clean``,
by MWAA's CLI endpoint (MWAA's user guide, "Aurora PostgreSQL database cleanup on an Amazon MWAA environment", Airflow
3.0.6 to 3.3.1). The ledger is another database, and none of this touches it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from client_delivery.access.mwaa_cli import CommandTrouble, airflow_command

if TYPE_CHECKING:
    from airflow.sdk import Context

TABLES = (
    # With a run go its task instances, their history and XComs. Versions of DAGs stay: runs that are kept name them.
    "dag_run",
    "log",
    "job",
    "import_error",
    "callback_request",
    "celery_taskmeta",
    "celery_tasksetmeta",
    "revoked_token",
)
_BATCH = 10_000
"""Rows in one transaction: longer ones hold the scheduler up."""
_CATCH_UP = 14
"""Days before the cutoff at which the slices begin; what is older goes in one. A week is new each time."""
_TROUBLE = ("Encountered error when attempting to clean table", "Traceback (most recent call last)")
"""``db clean`` only warns of a table that it could not clean."""


class DatabaseCleanupOperator(BaseOperator):
    """Removes what Airflow remembers of runs that began more than ``keep_days`` ago, a day at a time.

    Each command is short, for MWAA ends those that take minutes; and each is repeated without harm by the task's next
    try, for what is gone is not found again. Raises :class:`AirflowException` when MWAA or the command is in trouble.

    :param environment: the name of the MWAA environment.
    :param keep_days: the last run of each DAG is kept however old it is.
    """

    def __init__(self, *, environment: str, keep_days: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.environment = environment
        self.keep_days = keep_days

    def execute(self, context: Context) -> int:
        """Returns how many commands were carried out."""
        ends = list(slices(datetime.now(UTC) - timedelta(days=self.keep_days)))
        for before in ends:
            command = (
                f"db clean --clean-before-timestamp {before.isoformat(timespec='seconds')} --tables {','.join(TABLES)} "
                f"--batch-size {_BATCH} --skip-archive --yes"
            )
            try:
                said = airflow_command(self.environment, command)
            except CommandTrouble as error:
                raise AirflowException(str(error)) from None
            if trouble := [line for line in said.splitlines() if any(sign in line for sign in _TROUBLE)]:
                raise AirflowException(f"airflow db clean, before {before}: {trouble[0].strip()}\n{said}")
            self.log.info("Everything before %s has been removed.", before)
        return len(ends)


def slices(cutoff: datetime) -> Iterator[datetime]:
    """Up to when to clean, one after the other: at last the cutoff itself."""
    return (cutoff - timedelta(days=days) for days in range(_CATCH_UP, -1, -1))
