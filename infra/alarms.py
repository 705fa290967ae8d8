"""What is watched, what it means when it alarms, and what to do then: data for the monitoring stack.

Alarms on MWAA's own metrics are those that AWS recommends, with AWS's thresholds (MWAA's user guide, "Monitoring
dashboards and alarms": recommended alarms; "Container, queue, and database metrics"; "Apache Airflow environment
metrics"). The rest is ours: lines that the code logs, counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

QUARTER = 900
"""Seconds: every client is looked at once in so many."""


@dataclass(frozen=True)
class Watch:
    """An event in the logs that is counted, and perhaps alarms."""

    metric: str
    event: str
    means: str = ""
    """What the alarm says; empty: it is only counted."""
    do: str = ""
    """What to do about it."""
    silence: bool = False
    """Whether it is its absence that alarms, for three quarters of an hour."""


@dataclass(frozen=True)
class ClientWatch:
    """An alarm line that names a client (:meth:`client_delivery.operators.base.DeliveryOperator.alarm`)."""

    metric: str
    alarm: str
    means: str
    do: str


@dataclass(frozen=True)
class PlatformAlarm:
    """An alarm on a metric of MWAA's."""

    name: str
    metric: str
    means: str
    do: str
    dimensions: dict[str, str] = field(default_factory=dict)
    """Besides ``Environment``."""
    namespace: str = "AWS/MWAA"
    statistic: str = "Average"
    comparison: str = "GreaterThanThreshold"
    threshold: float = 95
    period: int = 300
    periods: int = 3
    missing: str = "notBreaching"


WATCHES = (
    Watch("FilesDelivered", "file_delivered"),
    Watch("JobsStarted", "job_started"),
    Watch("JobsFinished", "job_finished"),
    Watch(
        "FilesFailed",
        "file_final",
        "A file was not delivered after its last attempt.",
        "The run's task report names it and says why.",
    ),
    Watch("RunsRed", "run_failed", "A run is red: at least one file failed.", "Fix the cause, then clear the run."),
    Watch(
        "EntriesLeftActive",
        "entry_left_active",
        "A run died. The next run resumes its files.",
        "A single alarm needs no action. If it repeats, look at the workers' memory.",
    ),
    Watch(
        "FilesTakeLong",
        "file_takes_long",
        "A file has been under way for more than six hours.",
        "Its log shows the rate. Check the destination, or max_bytes_per_second.",
    ),
    Watch(
        "ConfigurationsWrong",
        "configuration_wrong",
        "A client's YAML file is wrong. Nothing is delivered for this client.",
        "Its DAG's page (tag config-error) says what is wrong.",
    ),
    Watch(
        "PackagesMissing",
        "packages_missing",
        "MWAA did not install requirements.txt on a worker, and only logged that.",
        "The task's message names the package and the log that says why.",
    ),
    Watch(
        "PickupLooks",
        "files_detected",
        "No pick-up has been checked for 45 minutes: nothing is being delivered.",
        "In the Airflow UI: are there DAGs, are they paused, do runs start? Then MWAA's health, then its last update.",
        silence=True,
    ),
)

CLIENT_WATCHES = (
    ClientWatch(
        "FilesOverdue",
        "files_overdue",
        "A client whose files are expected (expected_every_days) has sent none for longer than that.",
        "Ask the client; the alarm's contributor names it.",
    ),
    ClientWatch(
        "MessagesNotSent",
        "message_not_sent",
        "A message by a rule of notify, or about expected files, did not go out. The delivery is not affected; later "
        "runs send it for three days.",
        "The task's log (message_not_sent) says which channel refuses, and why: correct its connection, topic or bus.",
    ),
    ClientWatch(
        "EventsLost",
        "event_not_put",
        "The event of a delivery that has ended did not get onto the bus (delivery.event_bus), and is not put again. "
        "The files are not affected.",
        "The line event_not_put in the log of the task report says why. Tell the people who rely on the events which "
        "delivery is missing.",
    ),
    ClientWatch(
        "KeyExpires",
        "key_expires",
        "A key of a client expires, or reaches the accepted age, in 30, 7 or 1 days, or today; one alarm for each.",
        "The line key_expires in the log of the run's last task names the key and the day. Renew it as "
        "docs/operators/runbook.md says.",
    ),
    ClientWatch(
        "NotAcknowledged",
        "not_acknowledged",
        "A client's recipient has not acknowledged files in time (acknowledgement), or it could not be checked "
        "whether they have. The files were delivered and verified.",
        "The message, and the line acknowledgements_missing or acknowledgements_unknown in the log of the run's last "
        "task, name them. Ask the recipient; if looking is refused, have the permission granted that it names.",
    ),
    ClientWatch(
        "TasksRed",
        "task_red",
        "A task other than report has failed after its last retry: the client that the contributor names gets nothing, "
        "or no e-mail.",
        "Open its DAG: the red task's log says why. Fix the cause, then clear the run.",
    ),
)

_SCHEDULER = {"Cluster": "Scheduler"}
_WORKER = {"Cluster": "BaseWorker"}
_WEB = {"Cluster": "WebServer"}
_DATABASE = {"DatabaseRole": "WRITER"}
_LARGER = "raise mwaa.environment_class"

PLATFORM_ALARMS = (
    PlatformAlarm(
        "SchedulerSilent",
        "SchedulerHeartbeat",
        "The scheduler sends no heartbeat: nothing is being delivered.",
        "Look at MWAA's status and the scheduler's log; wait if an update or maintenance is under way.",
        dimensions={"Function": "Scheduler"},
        namespace="AmazonMWAA",
        statistic="Sum",
        comparison="LessThanThreshold",
        threshold=1,
        periods=2,
        missing="breaching",
    ),
    PlatformAlarm(
        "DagsNotImported",
        "ImportErrors",
        "The DAG file or the plugins cannot be imported: all clients' DAGs disappear.",
        "The UI shows the error on the list of DAGs. Deploy the last release again (its tag), then find out why.",
        dimensions={"Function": "DAG Processing"},
        namespace="AmazonMWAA",
        statistic="Maximum",
        threshold=0,
    ),
    PlatformAlarm(
        "OldestQueuedTask",
        "ApproximateAgeOfOldestTask",
        "A task has been waiting for a worker for more than half an hour.",
        "Raise mwaa.max_workers, or look for runs that hold the workers up.",
        statistic="Maximum",
        threshold=1800,
    ),
    PlatformAlarm(
        "SchedulerCpu",
        "CPUUtilization",
        "The scheduler's CPU is used up: runs start late.",
        f"Spread the schedules, or {_LARGER}.",
        _SCHEDULER,
    ),
    PlatformAlarm(
        "SchedulerMemory",
        "MemoryUtilization",
        "The scheduler's memory is used up; the next step is that it is killed.",
        f"Fewer DAGs, or {_LARGER}.",
        _SCHEDULER,
    ),
    PlatformAlarm(
        "WorkerCpu",
        "CPUUtilization",
        "The workers' CPU is used up: transfers are slow.",
        f"Raise mwaa.min_workers, or {_LARGER}.",
        _WORKER,
        periods=6,
    ),
    PlatformAlarm(
        "WorkerMemory",
        "MemoryUtilization",
        "The workers' memory is used up; tasks that are killed for it are resumed.",
        f"Lower delivery.offload_threshold, so that containers send more files, or {_LARGER}.",
        _WORKER,
        periods=6,
    ),
    PlatformAlarm(
        "WebServerCpu",
        "CPUUtilization",
        "The web server's CPU is used up: the UI, and tasks that report to it, are slow.",
        f"Look for scripts that poll the API, or {_LARGER}.",
        _WEB,
    ),
    PlatformAlarm(
        "WebServerMemory",
        "MemoryUtilization",
        "The web server's memory is used up: tasks cannot report their state.",
        f"Look for scripts that poll the API, or {_LARGER}.",
        _WEB,
    ),
    PlatformAlarm(
        "DatabaseCpu",
        "CPUUtilization",
        "The CPU of Airflow's database is used up: everything is slow.",
        f"Check that the DAG database-cleanup runs; if it does, {_LARGER}.",
        _DATABASE,
    ),
    PlatformAlarm(
        "DatabaseMemory",
        "FreeableMemory",
        "Airflow's database has less than 512 MiB of free memory.",
        f"Check that the DAG database-cleanup runs; if it does, {_LARGER}.",
        _DATABASE,
        comparison="LessThanThreshold",
        threshold=512 * 1024**2,
    ),
    PlatformAlarm(
        "TaskFailures",
        "TaskInstanceFailures",
        "Many task instances failed within a quarter of an hour.",
        "A destination, AWS or the platform is in trouble: look at what the red runs have in common.",
        dimensions={"DAG": "All", "Task": "All"},
        namespace="AmazonMWAA",
        statistic="Sum",
        threshold=10,
        period=QUARTER,
        periods=1,
    ),
)
