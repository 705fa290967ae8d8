"""Alarms (R9.3): each hears something, says what it means and what to do, and reaches somebody."""

from __future__ import annotations

import pytest

from infra.alarms import CLIENT_WATCHES, PLATFORM_ALARMS, WATCHES
from local.process import ROOT

PREFIX = "client-delivery-example"


@pytest.fixture
def alarms(templates):
    found = {one["Properties"]["AlarmName"]: one["Properties"] for one in alarm_resources(templates).values()}
    return {name.removeprefix(f"{PREFIX}-"): alarm for name, alarm in found.items()}


def alarm_resources(templates):
    return templates.resources("AWS::CloudWatch::Alarm")


def test_every_event_that_is_watched_is_one_that_the_code_logs():
    source = "".join(path.read_text() for path in (ROOT / "plugins/client_delivery").rglob("*.py"))
    for watch in WATCHES:
        logged = f'"{watch.event}"' in source or (watch.event == "file_delivered" and 'f"file_{' in source)
        assert logged, f"no line of the code logs {watch.event!r}"
    for client_watch in CLIENT_WATCHES:
        assert f'alarm("{client_watch.alarm}")' in source, f"no line of the code alarms by {client_watch.alarm!r}"


def test_every_alarm_says_what_it_means_and_what_to_do_and_reaches_somebody(templates, alarms):
    expected = {watch.metric for watch in WATCHES if watch.means} | {one.metric for one in CLIENT_WATCHES}
    assert set(alarms) == expected | {alarm.name for alarm in PLATFORM_ALARMS} | {"MailsNotDelivered"}
    (topic,) = templates.resources("AWS::SNS::Topic")
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        assert ". Do: " in alarm["AlarmDescription"], name
        assert len(alarm["AlarmDescription"]) <= 1024, "CloudWatch takes no longer one"
    subscriptions = templates.resources("AWS::SNS::Topic")[topic]["Properties"]["Subscription"]
    assert subscriptions == [{"Protocol": "email", "Endpoint": "platform@example.org"}]


def test_the_guide_explains_every_alarm(alarms):
    guide = (ROOT / "docs/operators/deployment.md").read_text().partition("## Monitoring")[2]
    for name in alarms:
        assert name in guide, f"docs/operators/deployment.md does not say what {name} means"


def test_silence_for_three_quarters_of_an_hour_alarms_and_so_does_missing_data(alarms):
    alarm = alarms["PickupLooks"]
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 45 * 60
    assert (alarm["ComparisonOperator"], alarm["Threshold"], alarm["Statistic"]) == ("LessThanThreshold", 1, "Sum")
    assert alarm["TreatMissingData"] == "breaching", "no lines at all are no sign of health"


@pytest.mark.parametrize(
    ("name", "metric", "dimension", "statistic", "operator", "threshold", "periods"),
    [
        ("SchedulerSilent", "SchedulerHeartbeat", ("Function", "Scheduler"), "Sum", "<", 1, 2),
        ("OldestQueuedTask", "ApproximateAgeOfOldestTask", None, "Maximum", ">", 1800, 3),
        ("SchedulerCpu", "CPUUtilization", ("Cluster", "Scheduler"), "Average", ">", 95, 3),
        ("SchedulerMemory", "MemoryUtilization", ("Cluster", "Scheduler"), "Average", ">", 95, 3),
        ("WorkerCpu", "CPUUtilization", ("Cluster", "BaseWorker"), "Average", ">", 95, 6),
        ("WorkerMemory", "MemoryUtilization", ("Cluster", "BaseWorker"), "Average", ">", 95, 6),
        ("WebServerCpu", "CPUUtilization", ("Cluster", "WebServer"), "Average", ">", 95, 3),
        ("WebServerMemory", "MemoryUtilization", ("Cluster", "WebServer"), "Average", ">", 95, 3),
        ("DatabaseCpu", "CPUUtilization", ("DatabaseRole", "WRITER"), "Average", ">", 95, 3),
        ("DatabaseMemory", "FreeableMemory", ("DatabaseRole", "WRITER"), "Average", "<", 512 * 1024**2, 3),
    ],
)
def test_the_alarms_that_aws_recommends_are_there_as_aws_recommends_them(
    alarms, name, metric, dimension, statistic, operator, threshold, periods
):
    """MWAA's user guide, "Monitoring dashboards and alarms on Amazon MWAA", recommended alarms."""
    alarm = alarms[name]
    dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert dimensions == dict([dimension] if dimension else []) | {"Environment": PREFIX}
    assert (alarm["MetricName"], alarm["Statistic"]) == (metric, statistic)
    assert alarm["ComparisonOperator"] == {"<": "LessThanThreshold", ">": "GreaterThanThreshold"}[operator]
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["Period"]) == (threshold, periods, 300)


@pytest.mark.parametrize("watch", CLIENT_WATCHES, ids=lambda watch: watch.metric)
def test_an_alarm_by_client_has_a_contributor_for_each_client(templates, alarms, watch):
    """CloudWatch's user guide, "Create a CloudWatch alarm based on a Metrics Insights query"."""
    (filters,) = [
        one["Properties"]
        for one in templates.resources("AWS::Logs::MetricFilter").values()
        if one["Properties"]["MetricTransformations"][0]["MetricName"] == f"example-{watch.metric}"
    ]
    assert filters["FilterPattern"] == f'{{ $.event = "alarm" && $.alarm = "{watch.alarm}" }}'
    (metric,) = filters["MetricTransformations"]
    assert metric["Dimensions"] == [{"Key": "Client", "Value": "$.client"}]
    assert "DefaultValue" not in metric, "CloudWatch refuses one beside dimensions"
    (query,) = alarms[watch.metric]["Metrics"]
    assert "GROUP BY Client ORDER BY" in query["Expression"], "both are needed for contributors"


def test_severe_findings_in_an_image_reach_the_topic_which_lets_eventbridge_in_without_a_condition(templates):
    (rule,) = templates.resources("AWS::Events::Rule").values()
    pattern = rule["Properties"]["EventPattern"]
    assert pattern["source"] == ["aws.ecr"]
    assert pattern["detail"]["repository-name"] == [f"{PREFIX}-transfer"]
    (policy,) = templates.resources("AWS::SNS::TopicPolicy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    (events,) = [one for one in statements if one["Principal"] == {"Service": "events.amazonaws.com"}]
    assert "Condition" not in events, "EventBridge fills in no keys: with one, every message would be dropped"


def test_the_budget_tells_the_same_people(templates):
    (budget,) = templates.resources("AWS::Budgets::Budget").values()
    assert budget["Properties"]["Budget"]["BudgetLimit"] == {"Amount": 1500, "Unit": "USD"}
    for notification in budget["Properties"]["NotificationsWithSubscribers"]:
        assert notification["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": "platform@example.org"}]


def test_bounces_and_complaints_reach_people_and_an_alarm_and_every_e_mail_is_sent_so(templates, alarms):
    """SES's developer guide: "Set up an Amazon SNS event destination", "… a CloudWatch event destination"."""
    (mails,) = templates.resources("AWS::SES::ConfigurationSet").values()
    name = mails["Properties"]["Name"]
    (airflow,) = templates.resources("AWS::MWAA::Environment").values()
    assert airflow["Properties"]["AirflowConfigurationOptions"]["delivery.ses_configuration_set"] == name
    assert set(airflow["DependsOn"]) >= set(templates.resources("AWS::SES::ConfigurationSet")), "it is there first"
    found = templates.resources("AWS::SES::ConfigurationSetEventDestination").values()
    destinations = {one["Properties"]["EventDestination"]["Name"]: one for one in found}
    troubles = {"bounce", "complaint", "reject", "deliveryDelay"}
    (topic,) = templates.resources("AWS::SNS::Topic")
    (policy,) = templates.resources("AWS::SNS::TopicPolicy")
    assert destinations.keys() == {"topic", "metrics"}
    for one in destinations.values():
        assert one["Properties"]["ConfigurationSetName"] == name
        assert one["Properties"]["EventDestination"]["Enabled"] is True
        assert set(one["Properties"]["EventDestination"]["MatchingEventTypes"]) >= troubles
        assert policy in one["DependsOn"], "SES refuses a topic that it may not publish to"
    told = destinations["topic"]["Properties"]["EventDestination"]
    assert told["SnsDestination"] == {"TopicARN": {"Ref": topic}}
    assert set(told["MatchingEventTypes"]) == troubles, "nobody wants an e-mail about each e-mail"
    (dimension,) = destinations["metrics"]["Properties"]["EventDestination"]["CloudWatchDestination"][
        "DimensionConfigurations"
    ]
    assert (dimension["DimensionName"], dimension["DimensionValueSource"]) == ("ses:configuration-set", "messageTag")
    *parts, total = alarms["MailsNotDelivered"]["Metrics"]
    metrics = {part["Id"]: part["MetricStat"]["Metric"] for part in parts}
    assert {one["MetricName"] for one in metrics.values()} == {"Bounce", "Complaint", "Reject"}
    assert all(one["Dimensions"] == [{"Name": "ses:configuration-set", "Value": name}] for one in metrics.values())
    assert total["Expression"] == f"SUM([{','.join(metrics)}])"
    statements = templates.resources("AWS::SNS::TopicPolicy")[policy]["Properties"]["PolicyDocument"]["Statement"]
    (publish,) = [one for one in statements if one["Principal"] == {"Service": "ses.amazonaws.com"}]
    assert publish["Condition"]["StringEquals"] == {
        "AWS:SourceAccount": templates.environment.account,
        "AWS:SourceArn": templates.environment.arn("ses", f"configuration-set/{name}"),
    }
    (key,) = templates.resources("AWS::KMS::Key", "monitoring").values()
    services = [one["Principal"].get("Service") for one in key["Properties"]["KeyPolicy"]["Statement"]]
    assert "ses.amazonaws.com" in services, "the topic is encrypted"
