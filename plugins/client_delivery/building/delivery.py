"""From a configuration to its DAG."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, TriggerRule
from airflow.sdk.definitions.param import ParamsDict

from client_delivery.building.starts import due, starts
from client_delivery.building.upkeep import ALLOWED_RUN_TYPES
from client_delivery.config.describe import describe, describe_error, describe_removed
from client_delivery.config.problem import ConfigError
from client_delivery.config.schedule import DEFAULT_SCHEDULE
from client_delivery.config.timing import Timing
from client_delivery.operators.announce import AnnounceOperator
from client_delivery.operators.callbacks import note_red_task
from client_delivery.operators.configuration_error import ConfigurationErrorOperator
from client_delivery.operators.destination_test import DestinationTestOperator
from client_delivery.operators.form import form_of
from client_delivery.operators.notify import NotifyFinishedOperator, NotifyStartedOperator
from client_delivery.operators.plan import PlanOperator
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.report import ReportOperator
from client_delivery.operators.tasks import ERROR_TASK, FINISHED_TASK, FIRST_TASK
from client_delivery.operators.transfer_batch import TransferBatchOperator
from client_delivery.run.questions import SAY_PLAN, TEST_DESTINATION
from client_delivery.runtime.settings import setting

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig

RETRIES = 3
WATCHED_RUN_TYPES: Any = (*ALLOWED_RUN_TYPES, "asset_triggered")
"""Also on arrival, but only for clients that ask for it (R4.1)."""
LONGEST_TASK = timedelta(hours=3)
"""All tasks but the transfers make a few requests for each file. A transfer's limit depends on its batch's size."""
LONGEST_RUN = timedelta(days=14)
"""Four tries at some 250 GiB at the slowest accepted speed. It is the last resort: a run that it ends is red and winds
up nothing. The next run resumes the files: one run must not block the client forever (R4.6)."""
_LONGEST_RETRY_DELAY = timedelta(minutes=15)
ON_ARRIVAL = "on-arrival"
"""The tag of a DAG whose runs also start on arrival."""


def build_dag(config: ClientConfig) -> DAG:
    """The DAG that delivers one client's files."""
    dag = _dag(
        config.name,
        # Airflow's first search box finds a DAG by its display name, not by its tags.
        dag_display_name=f"{config.delivery_key} {config.name}",
        description=f"Delivers files of {config.delivery_key} to {config.destination.uri}",
        # Airflow honors is_paused only for a DAG that it has never seen, but a schedule at every edit of the YAML.
        schedule=starts(config),
        allowed_run_types=WATCHED_RUN_TYPES if config.watched else ALLOWED_RUN_TYPES,
        tags={
            "client-delivery",
            config.delivery_key,
            config.destination.type,
            *(["paused"] if config.paused else []),
            *([ON_ARRIVAL] if config.watched else []),
        },
        doc_md=describe(config, look_seconds=int(setting("arrival_seconds"))),
    )
    with dag:
        _delivery(config, "")
    # After the tasks: each of them would get a copy of the form (``apply_defaults`` of 3.2.1), which is checked again
    # and was three quarters of what Airflow stores of a DAG. A task sees the DAG's parameters in any case
    # (``process_params``).
    dag.params = ParamsDict(form_of(config))
    return dag


def build_error_dag(dag_id: str, error: ConfigError, timing: Timing | None = None, client: Collection[str] = ()) -> DAG:
    """The DAG of a file that is wrong: red, under the same id, with the reason where people look (R2.6).

    ``client``: tags that name the client, as far as it is known.
    """
    key = next((tag for tag in sorted(client) if tag.startswith("H")), None)
    return _without_configuration(
        dag_id,
        {"message": str(error)},
        description="This client's configuration is wrong. Nothing is delivered until it is corrected",
        schedule=due(dag_id, timing or Timing(DEFAULT_SCHEDULE)),
        # People find the client where they always do: by its number in the first search box, and by its tags.
        dag_display_name=f"{key} {dag_id}" if key else dag_id,
        tags={"client-delivery", "config-error", *client},
        doc_md=describe_error(dag_id, error),
    )


def build_removed_dag(dag_id: str) -> DAG:
    """The DAG of a file that was removed while a run had files in hand: it stays until the run has ended (R4.7)."""
    message = f"The file {dag_id}.yaml has been removed."
    return _without_configuration(
        dag_id,
        {"message": message, "removed": True},
        description="This client's file has been removed. Its last run finishes as it began; then this DAG goes away",
        schedule=None,
        tags={"client-delivery", "removed"},
        doc_md=describe_removed(dag_id),
    )


def _without_configuration(dag_id: str, error: dict[str, Any], **kwargs: Any) -> DAG:
    """A DAG whose new runs are red at once.

    It has a delivery's tasks as well, of the same ids. Airflow 3.2.1 plans a run by the latest version of its DAG:
    tasks that are gone from it are *removed*, and killed if they run
    (``DagRun.task_instance_scheduling_decisions``), so a mistake in the file would kill a run under way. Instead, its
    tasks use the configuration that the run began with.
    """
    dag = _dag(dag_id, **kwargs)
    with dag:
        ConfigurationErrorOperator(task_id=ERROR_TASK, **error) >> _delivery(None, error["message"])
    return dag


def _dag(dag_id: str, *, allowed_run_types: Any = ALLOWED_RUN_TYPES, **kwargs: Any) -> DAG:
    """The arguments that all DAGs share."""
    return DAG(
        dag_id=dag_id,
        catchup=False,
        max_active_runs=1,
        # A backfill has a separate limit besides max_active_runs, so its runs would run in parallel with the others.
        allowed_run_types=allowed_run_types,
        is_paused_upon_creation=False,
        dagrun_timeout=LONGEST_RUN,
        default_args={
            "owner": "dextr",
            "execution_timeout": LONGEST_TASK,
            "retries": RETRIES,
            "retry_delay": timedelta(seconds=float(setting("retry_delay") or 60)),
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": _LONGEST_RETRY_DELAY,
            "on_failure_callback": note_red_task,
        },
        **kwargs,
    )


def _delivery(config: ClientConfig | None, problem: str) -> RegisterFilesSensor:
    """The tasks of a delivery, in the current DAG; returns the first. Without a configuration there is a problem.

    A step is a separate task only if people act on it separately, or if Airflow retries it separately: each task costs
    seconds (``docs/decisions/0034-four-tasks-in-a-row.md``).
    """
    known: dict[str, Any] = {"config": config, "problem": problem}
    register = RegisterFilesSensor(
        **known, task_id=FIRST_TASK, task_display_name="health check, detection, registration"
    )
    started = NotifyStartedOperator(**known, task_id="notify_started")
    transfer = TransferBatchOperator.partial(
        task_id="transfer_batch", **known, map_index_template="{{ task.batch['label'] }}"
    ).expand(batch=register.output)
    # From here on the run is wound up, whatever the outcome of mail and transfers; but only if files were registered.
    wind_up: dict[str, Any] = {**known, "trigger_rule": TriggerRule.ALL_DONE_MIN_ONE_SUCCESS}
    finished = NotifyFinishedOperator(**wind_up, task_id=FINISHED_TASK)
    # It waits for all of them: for the transfers, because if only the failed tasks were cleared, no task in between
    # runs again; for the first task, because transfers and e-mail may both have failed.
    report = ReportOperator(**wind_up, task_id="report")

    # The tasks that respond to the form's questions run only if the first task has skipped all delivering tasks:
    # Airflow skips them in every other run, without a process.
    answers: dict[str, Any] = {**known, "trigger_rule": TriggerRule.ALL_SKIPPED, "retries": 0}
    started >> [DestinationTestOperator(**answers, task_id=TEST_DESTINATION), PlanOperator(**answers, task_id=SAY_PLAN)]

    register >> [started, transfer]
    [register, started, transfer] >> finished
    [register, transfer, finished] >> report
    if setting("asset_events") == "True":
        # Beside the e-mail, and not a leaf: its outcome does not decide the run's color.
        announce = AnnounceOperator(**wind_up, task_id="announce")
        [register, started, transfer] >> announce >> report
    return register
