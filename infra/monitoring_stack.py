"""Alarms, a dashboard and saved queries: what tells people before a client does. Nothing here is needed to deliver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.platform_stack import PlatformStack
from infra.queries import QUERIES
from infra.settings import Environment

NAMESPACE = "ClientDelivery"
_RUNBOOK = "docs/operators/runbook.md"


@dataclass(frozen=True)
class Watch:
    """An event in the logs that is counted, and perhaps alarms."""

    metric: str
    event: str
    alarm: str = ""
    """What the alarm says; empty: it is only counted."""


WATCHES = (
    Watch("FilesDelivered", "file_delivered"),
    Watch("JobsStarted", "job_started"),
    Watch("JobsFinished", "job_finished"),
    Watch(
        "FilesFailed", "file_final", "A file was not delivered after its last attempt. The run's task report names it."
    ),
    Watch("RunsRed", "run_failed", "A run is red. Mend the cause, then clear it."),
    Watch(
        "EntriesLeftActive",
        "entry_left_active",
        "A run died; its files are resumed. More than now and then: look at the workers.",
    ),
    Watch("FilesTakeLong", "file_takes_long", "A file has been under way for more than six hours."),
    Watch("FilesOverdue", "files_overdue", "A client whose files are expected has sent none."),
    Watch("ConfigurationsWrong", "configuration_wrong", "A client's YAML file is wrong: nothing is delivered for it."),
)


class MonitoringStack(cdk.Stack):
    """The monitoring of one environment."""

    def __init__(self, scope: Construct, environment: Environment, platform: PlatformStack, **kwargs: Any) -> None:
        super().__init__(scope, f"{environment.prefix}-monitoring", **kwargs)
        self._environment = environment
        self.add_stack_dependency(platform)
        self._topic = self._make_topic()
        for watch in WATCHES:
            self._count(watch)
        self._watch_airflow()
        self._make_dashboard()
        self._save_queries()

    def _make_topic(self) -> sns.CfnTopic:
        """Encrypted with a key of its own, for CloudWatch must be allowed to use it."""
        key = kms.Key(
            self,
            "AlarmKey",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
            description=f"Alarms of the client file delivery, {self._environment.name}",
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="CloudWatch",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": self._environment.account}},
            )
        )
        topic = sns.CfnTopic(
            self,
            "Alarms",
            topic_name=f"{self._environment.prefix}-alarms",
            kms_master_key_id=key.key_id,
            subscription=[{"protocol": "email", "endpoint": email} for email in self._environment.alarm_emails],
        )
        statement: dict[str, Any] = {
            "Sid": "OnlyOverTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": topic.ref,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        alarms: dict[str, Any] = {
            "Sid": "CloudWatchAlarms",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic.ref,
            "Condition": {"StringEquals": {"aws:SourceAccount": self._environment.account}},
        }
        sns.CfnTopicPolicy(
            self,
            "AlarmsPolicy",
            topics=[topic.ref],
            policy_document={"Version": "2012-10-17", "Statement": [statement, alarms]},
        )
        return topic

    def _count(self, watch: Watch) -> None:
        """Count the event in the tasks' log and in the containers'; a name stands for itself, quoted or escaped.

        The trigger that waits for a container repeats its lines in the task's log: those are left out.
        """
        for part, group in self._log_groups():
            logs.CfnMetricFilter(
                self,
                f"{watch.metric}In{part}",
                log_group_name=group,
                filter_pattern=f'"{watch.event}" -"TaskDoneTrigger"',
                metric_transformations=[
                    {
                        "metricNamespace": NAMESPACE,
                        "metricName": f"{self._environment.name}-{watch.metric}",
                        "metricValue": "1",
                        "defaultValue": 0,
                    }
                ],
            )
        if watch.alarm:
            self._alarm(
                watch.metric,
                watch.alarm,
                namespace=NAMESPACE,
                metric_name=f"{self._environment.name}-{watch.metric}",
                statistic="Sum",
                threshold=0,
            )

    def _watch_airflow(self) -> None:
        """MWAA's own metrics."""
        dimensions = [{"name": "Environment", "value": self._environment.prefix}]

        def of(function: str) -> list[dict[str, str]]:
            return [{"name": "Function", "value": function}, *dimensions]

        self._alarm(
            "QueueDepth",
            "Tasks wait for a worker for 30 minutes: raise max_workers, or look for runs that hold them up.",
            namespace="AmazonMWAA",
            metric_name="QueuedTasks",
            dimensions=of("Executor"),
            statistic="Minimum",
            threshold=10,
            evaluation_periods=2,
        )
        self._alarm(
            "TaskFailures",
            "Many task instances failed within a quarter of an hour: a destination, AWS or the platform is in trouble.",
            namespace="AmazonMWAA",
            metric_name="TaskInstanceFailures",
            dimensions=[{"name": "DAG", "value": "All"}, {"name": "Task", "value": "All"}, *dimensions],
            statistic="Sum",
            threshold=10,
        )
        self._alarm(
            "SchedulerSilent",
            "The scheduler gives no sign: nothing is delivered.",
            namespace="AmazonMWAA",
            metric_name="SchedulerHeartbeat",
            dimensions=of("Scheduler"),
            statistic="Sum",
            threshold=1,
            comparison_operator="LessThanThreshold",
            treat_missing_data="breaching",
            evaluation_periods=2,
        )

    def _alarm(self, name: str, text: str, **metric: Any) -> None:
        defaults = {
            "comparison_operator": "GreaterThanThreshold",
            "evaluation_periods": 1,
            "treat_missing_data": "notBreaching",
        }
        cloudwatch.CfnAlarm(
            self,
            f"{name}Alarm",
            alarm_name=f"{self._environment.prefix}-{name}",
            alarm_description=f"{text} {_RUNBOOK}",
            period=900,
            alarm_actions=[self._topic.ref],
            ok_actions=[self._topic.ref],
            **defaults | metric,
        )

    def _make_dashboard(self) -> None:
        def graph(title: str, metrics: list[list[object]], row: int, column: int) -> dict[str, Any]:
            properties = {
                "title": title,
                "metrics": metrics,
                "region": self._environment.region,
                "stat": "Sum",
                "period": 900,
            }
            return {
                "type": "metric",
                "x": 12 * column,
                "y": 6 * row,
                "width": 12,
                "height": 6,
                "properties": properties,
            }

        def own(*names: str) -> list[list[object]]:
            return [[NAMESPACE, f"{self._environment.name}-{name}"] for name in names]

        prefix = self._environment.prefix
        widgets = [
            graph("Files", own("FilesDelivered", "FilesFailed"), 0, 0),
            graph("Jobs", own("JobsStarted", "JobsFinished", "RunsRed"), 0, 1),
            graph(
                "Needs a person", own("EntriesLeftActive", "FilesTakeLong", "FilesOverdue", "ConfigurationsWrong"), 1, 0
            ),
            graph(
                "Airflow",
                [
                    ["AmazonMWAA", name, "Function", "Executor", "Environment", prefix, {"stat": "Maximum"}]
                    for name in ("QueuedTasks", "RunningTasks")
                ],
                1,
                1,
            ),
        ]
        cloudwatch.CfnDashboard(
            self, "Dashboard", dashboard_name=prefix, dashboard_body=self.to_json_string({"widgets": widgets})
        )

    def _save_queries(self) -> None:
        for number, (name, lines) in enumerate(QUERIES.items(), 1):
            logs.CfnQueryDefinition(
                self,
                f"Query{number}",
                name=f"{self._environment.prefix}/{name}",
                query_string="\n| ".join(lines),
                log_group_names=[group for _, group in self._log_groups()],
            )

    def _log_groups(self) -> Iterator[tuple[str, str]]:
        yield "Tasks", self._environment.task_log_group
        yield "Containers", self._environment.container_log_group
