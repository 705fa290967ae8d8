"""Where alarms go: a topic that e-mails people."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.settings import Environment

_CLOUDWATCH = "cloudwatch.amazonaws.com"
_EVENTS = "events.amazonaws.com"
"""It fills in no condition keys on its way to SNS: "You can't use Condition blocks in Amazon SNS topic policies for
EventBridge" (its user guide, "Using resource-based policies"). A condition would silently drop every message."""


_SES = "ses.amazonaws.com"


def make_topic(scope: Construct, environment: Environment) -> tuple[sns.CfnTopic, sns.CfnTopicPolicy]:
    """Encrypted with a key of its own, for CloudWatch, EventBridge and SES must be allowed to use it."""
    own_account = {"StringEquals": {"aws:SourceAccount": environment.account}}
    key = kms.Key(
        scope,
        "AlarmKey",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.DESTROY,
        description=f"Alarms of the client file delivery, {environment.name}",
    )
    # SES, too, is to have the key without a condition (its developer guide, "Set up an Amazon SNS event destination").
    for service, conditions in ((_CLOUDWATCH, own_account), (_EVENTS, {}), (_SES, {})):
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service)],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions=conditions,
            )
        )
    topic = sns.CfnTopic(
        scope,
        "Alarms",
        topic_name=f"{environment.prefix}-alarms",
        kms_master_key_id=key.key_id,
        subscription=[{"protocol": "email", "endpoint": email} for email in environment.alarm_emails],
    )
    statement: dict[str, Any] = {
        "Sid": "OnlyOverTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": topic.ref,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    publish: dict[str, Any] = {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic.ref}
    alarms = {"Sid": "Alarms", **publish, "Principal": {"Service": _CLOUDWATCH}, "Condition": own_account}
    findings = {"Sid": "ImageFindings", **publish, "Principal": {"Service": _EVENTS}}
    own_mails = {
        "StringEquals": {
            "AWS:SourceAccount": environment.account,
            "AWS:SourceArn": environment.arn("ses", f"configuration-set/{environment.ses_configuration_set}"),
        }
    }
    mails = {"Sid": "Mails", **publish, "Principal": {"Service": _SES}, "Condition": own_mails}
    policy = sns.CfnTopicPolicy(
        scope,
        "AlarmsPolicy",
        topics=[topic.ref],
        policy_document={"Version": "2012-10-17", "Statement": [statement, alarms, findings, mails]},
    )
    return topic, policy
