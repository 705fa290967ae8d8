"""What any role may do at most, whatever its policies say (IAM: permissions boundary)."""

from __future__ import annotations

from typing import Any

from infra import permissions
from infra.clients import Location, Needs
from infra.settings import CONNECTIONS_PREFIX, Environment

_KEY_ACTIONS = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
"""On the environment's own key (``infra/access_stack.py``)."""
_BACKUP_ACTIONS = (
    "backup:CopyFromBackupVault", "backup:CopyIntoBackupVault", "backup:DescribeBackupVault", "backup:TagResource",
    "dynamodb:CreateBackup", "dynamodb:DeleteBackup", "dynamodb:DescribeBackup", "dynamodb:DescribeTable",
    "dynamodb:ListTagsOfResource", "dynamodb:StartAwsBackupJob", "kms:CreateGrant", "tag:GetResources",
)  # fmt: skip
"""What AWS Backup's role does to copy a table to another region (``infra/second_region.py``)."""
_FLOW_LOG_ACTIONS = ("logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:CreateLogStream", "logs:PutLogEvents")
"""Of the role that the CDK makes for the VPC's flow log."""


def boundary(environment: Environment) -> list[dict[str, Any]]:
    """The statements of the policy.

    The actions of all grants together; on any resource, for the clients' buckets and keys come and go, except where a
    resource is what makes an action dangerous: which roles are assumed or handed on, whose mail is sent, which secrets
    are read.
    """
    place = Location("any", "")
    everything = Needs({place}, {place}, {place}, {"any"}, {"any"}, topics={"any"}, buses={"any"})
    grants = [
        *permissions.worker(environment, everything),
        *permissions.container(environment, everything),
        *permissions.mwaa_itself(environment),
        *permissions.maintenance(environment),
        *permissions.container_start(environment),
    ]
    narrow = {
        "iam:PassRole": [f"arn:aws:iam::{environment.account}:role/{environment.prefix}-transfer*"],
        "secretsmanager:GetSecretValue": [environment.arn("secretsmanager", f"secret:{CONNECTIONS_PREFIX}/*")],
        "sts:AssumeRole": [f"arn:aws:iam::{account}:role/*" for account in environment.partner_accounts],
    }
    actions = {action for grant in grants for action in grant.actions}
    copying = _BACKUP_ACTIONS if environment.copy_region else ()
    broad = {*actions, *_KEY_ACTIONS, *_FLOW_LOG_ACTIONS, *copying} - narrow.keys()
    statements: list[dict[str, Any]] = [
        {"Sid": "Deliveries", "Effect": "Allow", "Action": sorted(broad), "Resource": "*"}
    ]
    for action, resources in narrow.items():
        if resources:
            sid = action.partition(":")[2]
            statements.append({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resources})
    return statements
