"""Alarms, a dashboard and saved queries: what tells people before a client does. Nothing here is needed to deliver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_logs as logs
from constructs import Construct

from client_delivery.runtime.events import LOGGER
from infra.alarm_topic import make_topic
from infra.alarms import CLIENT_WATCHES, PLATFORM_ALARMS, QUARTER, WATCHES, ClientWatch, PlatformAlarm, Watch
from infra.mail_events import watch_mails
from infra.platform_stack import PlatformStack
from infra.queries import QUERIES
from infra.settings import Environment

NAMESPACE = "ClientDelivery"
_GUIDE = "docs/operators/deployment.md#monitoring"


class MonitoringStack(cdk.Stack):
    """The monitoring of one environment."""

    def __init__(self, scope: Construct, environment: Environment, platform: PlatformStack, **kwargs: Any) -> None:
        super().__init__(scope, f"{environment.prefix}-monitoring", **kwargs)
        self._environment = environment
        self.add_stack_dependency(platform)
        self._topic, self._topic_policy = make_topic(self, environment)
        for watch in WATCHES:
            self._count(watch)
        for client_watch in CLIENT_WATCHES:
            self._count_by_client(client_watch)
        for alarm in PLATFORM_ALARMS:
            self._watch_airflow(alarm)
        self._watch_images()
        self._alarm(**watch_mails(self, environment, self._topic, self._topic_policy), threshold=0)
        self._watch_costs()
        self._make_dashboard()
        self._save_queries()

    def _count(self, watch: Watch) -> None:
        """Count the event in the tasks' log and in the containers', by a field that holds nothing but its name.

        A container's line is the event's own JSON. A task's is Airflow's, with ours in it as a text; but its field
        ``logger`` names the event (:data:`client_delivery.runtime.events.LOGGER`). No file's name and no server's word
        is ever in these fields, nor are the container's lines that the waiting trigger repeats.
        """
        fields = {"Tasks": f'$.logger = "{LOGGER.name}.{watch.event}"', "Containers": f'$.event = "{watch.event}"'}
        for part, group in self._log_groups():
            logs.CfnMetricFilter(
                self,
                f"{watch.metric}In{part}",
                log_group_name=group,
                filter_pattern=f"{{ {fields[part]} }}",
                metric_transformations=[
                    {
                        "metricNamespace": NAMESPACE,
                        "metricName": self._own(watch.metric),
                        "metricValue": "1",
                        "defaultValue": 0,
                    }
                ],
            )
        if watch.means:
            silence = {
                "comparison_operator": "LessThanThreshold",
                "threshold": 1,
                "evaluation_periods": 3,
                "treat_missing_data": "breaching",
            }
            self._alarm(
                watch.metric,
                watch.means,
                watch.do,
                namespace=NAMESPACE,
                metric_name=self._own(watch.metric),
                statistic="Sum",
                period=QUARTER,
                **silence if watch.silence else {"threshold": 0},
            )

    def _count_by_client(self, watch: ClientWatch) -> None:
        """One alarm for all clients, with a contributor for each: the notification names the client.

        A metric by client exists only for a client that ever alarmed; nobody has to deploy for a new client.
        """
        name = self._own(watch.metric)
        logs.CfnMetricFilter(
            self,
            f"{watch.metric}InTasks",
            log_group_name=self._environment.task_log_group,
            filter_pattern=f'{{ $.event = "alarm" && $.alarm = "{watch.alarm}" }}',
            metric_transformations=[
                {
                    "metricNamespace": NAMESPACE,
                    "metricName": name,
                    "metricValue": "1",
                    "dimensions": [{"key": "Client", "value": "$.client"}],
                }
            ],
        )
        query = f'SELECT SUM("{name}") FROM SCHEMA("{NAMESPACE}", Client) GROUP BY Client ORDER BY SUM() DESC'  # noqa: S608 (no database: CloudWatch Metrics Insights)
        self._alarm(
            watch.metric,
            watch.means,
            watch.do,
            metrics=[{"id": "clients", "expression": query, "period": QUARTER, "returnData": True}],
            threshold=0,
        )

    def _watch_airflow(self, alarm: PlatformAlarm) -> None:
        dimensions = {**alarm.dimensions, "Environment": self._environment.prefix}
        self._alarm(
            alarm.name,
            alarm.means,
            alarm.do,
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=[{"name": name, "value": value} for name, value in dimensions.items()],
            statistic=alarm.statistic,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            period=alarm.period,
            evaluation_periods=alarm.periods,
            treat_missing_data=alarm.missing,
        )

    def _watch_images(self) -> None:
        """What the registry's scan of a pushed image finds; nothing scans again later, so images are renewed."""
        severe = [{"numeric": [">", 0]}]
        text = (
            "The scan of the transfer image <tag> found severe vulnerabilities. Do: make renew-base, commit, release. "
            f"If that does not help: make audit. {_GUIDE}"
        )
        events.CfnRule(
            self,
            "ImageFindings",
            description="Severe findings in the transfer image reach the alarms' topic",
            event_pattern={
                "source": ["aws.ecr"],
                "detail-type": ["ECR Image Scan"],
                "detail": {
                    "repository-name": [f"{self._environment.prefix}-transfer"],
                    "$or": [{"finding-severity-counts": {one: severe}} for one in ("CRITICAL", "HIGH")],
                },
            },
            targets=[
                {
                    "id": "alarms",
                    "arn": self._topic.ref,
                    "inputTransformer": {
                        "inputPathsMap": {
                            "tag": "$.detail.image-tags[0]",
                            "counts": "$.detail.finding-severity-counts",
                        },
                        "inputTemplate": f'"{text}"',
                    },
                }
            ],
        )

    def _watch_costs(self) -> None:
        """The account is this environment's alone, so its bill is."""
        if self._environment.monthly_budget_usd is None:
            return
        emails = [{"subscriptionType": "EMAIL", "address": one} for one in self._environment.alarm_emails]
        budgets.CfnBudget(
            self,
            "Budget",
            budget={
                "budgetName": self._environment.prefix,
                "budgetType": "COST",
                "timeUnit": "MONTHLY",
                "budgetLimit": {"amount": self._environment.monthly_budget_usd, "unit": "USD"},
            },
            notifications_with_subscribers=[
                {
                    "notification": {
                        "notificationType": kind,
                        "comparisonOperator": "GREATER_THAN",
                        "threshold": percent,
                        "thresholdType": "PERCENTAGE",
                    },
                    "subscribers": emails,
                }
                for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
            ],
        )

    def _own(self, metric: str) -> str:
        return f"{self._environment.name}-{metric}"

    def _alarm(self, name: str, means: str, do: str, **metric: Any) -> None:
        defaults: dict[str, Any] = {
            "comparison_operator": "GreaterThanThreshold",
            "evaluation_periods": 1,
            "treat_missing_data": "notBreaching",
        }
        cloudwatch.CfnAlarm(
            self,
            f"{name}Alarm",
            alarm_name=f"{self._environment.prefix}-{name}",
            alarm_description=f"{means} Do: {do} {_GUIDE}",
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
            return [[NAMESPACE, self._own(name)] for name in names]

        prefix = self._environment.prefix
        widgets = [
            graph("Files", own("FilesDelivered", "FilesFailed"), 0, 0),
            graph("Jobs", own("JobsStarted", "JobsFinished", "RunsRed"), 0, 1),
            graph(
                "Needs a person",
                own("EntriesLeftActive", "FilesTakeLong", "ConfigurationsWrong", "PackagesMissing"),
                1,
                0,
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
