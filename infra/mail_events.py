"""What becomes of an e-mail after SES has taken it: bounces, complaints, refusals and delays, told to people.

SES takes an e-mail to an address that does not exist; what became of it, only an event tells. The events themselves,
with address and reason, go to the alarms' topic as SES writes them; an alarm says what to do about them.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.alarms import QUARTER
from infra.settings import Environment

_TROUBLES = ("bounce", "complaint", "reject", "deliveryDelay")
_DIMENSION = "ses:configuration-set"
"""A tag that SES itself puts on every e-mail (its developer guide, "Auto-tags")."""


def watch_mails(
    scope: Construct, environment: Environment, topic: sns.CfnTopic, policy: sns.CfnTopicPolicy
) -> dict[str, Any]:
    """Have the configuration set's events go to the topic and into metrics; returns what an alarm on these says."""
    events_of = {"Topic": _TROUBLES, "Metrics": (*_TROUBLES, "send")}
    dimension = {
        "dimensionName": _DIMENSION,
        "dimensionValueSource": "messageTag",
        "defaultDimensionValue": "none",
    }
    places: dict[str, dict[str, Any]] = {
        "Topic": {"snsDestination": {"topicArn": topic.ref}},
        "Metrics": {"cloudWatchDestination": {"dimensionConfigurations": [dimension]}},
    }
    for name, place in places.items():
        destination = ses.CfnConfigurationSetEventDestination(
            scope,
            f"MailsTo{name}",
            configuration_set_name=environment.ses_configuration_set,
            event_destination={
                "name": name.lower(),
                "enabled": True,
                "matchingEventTypes": list(events_of[name]),
                **place,
            },
        )
        # SES tries the topic when it is named to it.
        destination.add_resource_dependency(policy)
    dimensions = [{"name": _DIMENSION, "value": environment.ses_configuration_set}]
    parts: list[dict[str, Any]] = [
        {
            "id": name.lower(),
            "metricStat": {
                "metric": {"namespace": "AWS/SES", "metricName": name, "dimensions": dimensions},
                "period": QUARTER,
                "stat": "Sum",
            },
            "returnData": False,
        }
        for name in ("Bounce", "Complaint", "Reject")
    ]
    total = {"id": "lost", "expression": f"SUM([{','.join(part['id'] for part in parts)}])", "returnData": True}
    return {
        "name": "MailsNotDelivered",
        "means": "An e-mail to a contact bounced, was refused, or was called spam.",
        "do": "SES's notification to this topic names the address and why. Correct `contacts`, or take the address "
        "off SES's suppression list.",
        "metrics": [*parts, total],
    }
