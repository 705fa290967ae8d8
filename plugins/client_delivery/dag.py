"""From a configuration to its DAG."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, TriggerRule, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict

from client_delivery.config.describe import describe, describe_error, describe_removed, describe_settings_error
from client_delivery.config.loader import load_directory, load_file
from client_delivery.config.problem import ConfigError
from client_delivery.config.schedule import DEFAULT_SCHEDULE, spread_by
from client_delivery.config.timing import Timing
from client_delivery.config.treatment_checks import require_prepared_area
from client_delivery.ledger.view import LedgerView
from client_delivery.operators.announce import AnnounceOperator
from client_delivery.operators.callbacks import note_red_cleanup, note_red_task
from client_delivery.operators.configuration_error import ConfigurationErrorOperator
from client_delivery.operators.database_cleanup import DatabaseCleanupOperator
from client_delivery.operators.destination_test import DestinationTestOperator
from client_delivery.operators.form import form_of
from client_delivery.operators.notify import NotifyFinishedOperator, NotifyStartedOperator
from client_delivery.operators.plan import PlanOperator
from client_delivery.operators.register_files import RegisterFilesSensor
from client_delivery.operators.report import ReportOperator
from client_delivery.operators.tasks import ERROR_TASK, FINISHED_TASK, FIRST_TASK
from client_delivery.operators.transfer_batch import TransferBatchOperator
from client_delivery.run.questions import SAY_PLAN, TEST_DESTINATION
from client_delivery.runtime.settings import problems, setting

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig

RETRIES = 3
ALLOWED_RUN_TYPES: Any = ("scheduled", "manual")
"""By schedule and by hand: no backfill, and no run that an asset starts (R4.1, R4.7)."""
WATCHED_RUN_TYPES: Any = (*ALLOWED_RUN_TYPES, "asset_triggered")
"""Also on arrival, but only for clients that ask for it (R4.1)."""
SETTINGS_DAG = "delivery-settings"
"""No configuration can have this name."""
LONGEST_TASK = timedelta(hours=3)
"""All tasks but the transfers make a few requests for each file. A transfer's limit depends on its batch's size."""
LONGEST_RUN = timedelta(days=14)
"""Four tries at some 250 GiB at the slowest accepted speed. It is the last resort: a run that it ends is red and winds
up nothing. The next run resumes the files: one run must not block the client forever (R4.6)."""
_LONGEST_RETRY_DELAY = timedelta(minutes=15)
ON_ARRIVAL = "on-arrival"
"""The tag of a DAG whose runs also start on arrival."""
CLEANUP_DAG = "database-cleanup"
"""No client's name has a dash."""


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


def build_dag(config: ClientConfig) -> DAG:
    """The DAG that delivers one client's files."""
    dag = _dag(
        config.name,
        # Airflow's first search box finds a DAG by its display name, not by its tags.
        dag_display_name=f"{config.delivery_key} {config.name}",
        description=f"Delivers files of {config.delivery_key} to {config.destination.uri}",
        # Airflow honors is_paused only for a DAG that it has never seen, but a schedule at every edit of the YAML.
        schedule=_starts(config),
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
        schedule=_due(dag_id, timing or Timing(DEFAULT_SCHEDULE)),
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


def _starts(config: ClientConfig) -> AssetOrTimeSchedule | CronTriggerTimetable | None:
    """When runs begin: by the schedule and, if the configuration asks for it, on arrival (R4.1)."""
    due = _due(config.name, Timing(None if config.paused else config.schedule, config.timezone))
    if due is None or not config.watched:
        return due
    from client_delivery.operators.assets import arrival_asset

    return AssetOrTimeSchedule(timetable=due, assets=[arrival_asset(config)])


def _due(name: str, timing: Timing) -> CronTriggerTimetable | None:
    """When runs begin.

    With a start date in the past, Airflow runs a new DAG at once, for the last scheduled time: a client that is due on
    the 1st and deployed on the 25th would get the files that wait on the 25th. Without a start date, the timetable says
    how late the first run may be; a new client waits for its next time. Later runs are not affected: there Airflow
    counts from the last run, and makes up for one that was missed.

    The moment of parsing is no alternative as a start date: it would move at each parse. And some delay must be
    allowed, because each parse computes the first run again: a run that the scheduler has not started in time would be
    lost.
    """
    if timing.schedule is None:
        return None
    schedule = spread_by(timing.schedule, name)
    seldom = re.match(r"[0-9]+ [0-9]+ ", schedule)
    patience = timedelta(hours=1) if seldom else timedelta(minutes=1)
    return CronTriggerTimetable(schedule, timezone=timing.timezone, run_immediately=patience)


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
