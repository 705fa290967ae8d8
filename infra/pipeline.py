"""The roles of the pipeline: python -m infra.pipeline NAME OWNER/REPOSITORY writes their CloudFormation template.

An administrator deploys it once for each environment (docs/operators/deployment.md); the pipeline cannot change it.
GitHub's jobs get these roles by OIDC, each for one subject only:

* ``plan`` for pull requests: sees what a change of YAML would change, and nothing of the clients'.
* ``deploy-clients`` for the GitHub environment that deploys YAML: the permissions' stack and the configurations.
* ``deploy`` for the GitHub environment that deploys everything. It makes roles, but only roles within the boundary,
  which this template makes as well: it cannot make itself, or anybody, more powerful than a delivery has to be.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from infra.app import OUTPUT
from infra.boundary import boundary
from infra.settings import Environment, SettingsError, load

_ISSUER = "token.actions.githubusercontent.com"
_LONGEST_SESSION = 12 * 3600
"""Seconds that a role may be had at most; a graceful update takes about as long."""
_CONFIGS = "dags/include/client_configs"
_SERVICES = (
    "airflow", "budgets", "cloudformation", "cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "events", "kms", "logs",
    "s3", "ses", "sns",
)  # fmt: skip
"""Whose resources the stacks hold, apart from IAM."""


def template(environment: Environment, repository: str) -> dict[str, Any]:
    """What CloudFormation gets."""
    roles = {
        "Plan": _role(environment, f"repo:{repository}:pull_request", "plan", plan(environment)),
        "DeployClients": _role(
            environment, f"repo:{repository}:environment:{environment.name}", "deploy-clients", clients(environment)
        ),
        "Deploy": _role(
            environment, f"repo:{repository}:environment:{environment.name}-platform", "deploy", everything(environment)
        ),
    }
    provider = {
        "Type": "AWS::IAM::OIDCProvider",
        "Condition": "NoProviderYet",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {"Url": f"https://{_ISSUER}", "ClientIdList": ["sts.amazonaws.com"]},
    }
    limit = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "ManagedPolicyName": environment.boundary_policy,
            "Description": "What any role of the deliveries may do at most",
            "PolicyDocument": _document(*boundary(environment)),
        },
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Roles of the pipeline that deploys {environment.prefix}. Deployed by an administrator.",
        "Parameters": {
            "ProviderExists": {
                "Type": "String",
                "AllowedValues": ["yes", "no"],
                "Default": "no",
                "Description": "Whether the account has GitHub's OIDC provider; it can have only one",
            }
        },
        "Conditions": {"NoProviderYet": {"Fn::Equals": [{"Ref": "ProviderExists"}, "no"]}},
        "Resources": {"GitHub": provider, "Boundary": limit, **roles},
        "Outputs": {f"{name}Role": {"Value": {"Fn::GetAtt": [name, "Arn"]}} for name in roles},
    }


def plan(environment: Environment) -> list[dict[str, Any]]:
    """``make deploy-clients DRY_RUN=1``, call by call. It executes nothing and deletes no stack."""
    return [
        _allow(
            "ChangeSets",
            ["CreateChangeSet", "DeleteChangeSet", "DescribeChangeSet", "DescribeStacks"],
            "cloudformation",
            environment.arn("cloudformation", f"stack/{environment.prefix}-access/*"),
        ),
        *_configurations(environment, "GetObject"),
        # A template that is too long for a request goes by the bucket.
        _allow("LongTemplates", ["GetObject", "PutObject"], "s3", f"arn:aws:s3:::{environment.bucket}/templates/*"),
    ]


def clients(environment: Environment) -> list[dict[str, Any]]:
    """``make deploy-clients``: the permissions' stack, and the configurations."""
    policies = f"arn:aws:iam::{environment.account}:policy/{environment.prefix}-*"
    return [
        *plan(environment),
        *_configurations(environment, "DeleteObject", "PutObject", sid="ChangeConfigurations"),
        _allow(
            "Carry",
            ["DescribeStackEvents", "ExecuteChangeSet"],
            "cloudformation",
            environment.arn("cloudformation", f"stack/{environment.prefix}-access/*"),
        ),
        _allow(
            "Policies",
            [
                "CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "GetPolicy",
                "GetPolicyVersion", "ListEntitiesForPolicy", "ListPolicyVersions",
            ],
            "iam",
            policies,
        ),
        # Attached to the delivering roles only, and only these policies: nothing that somebody else has written.
        {
            "Sid": "Attach",
            "Effect": "Allow",
            "Action": ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
            "Resource": [f"arn:aws:iam::{environment.account}:role/{role}" for role in environment.delivering_roles],
            "Condition": {"ArnLike": {"iam:PolicyARN": policies}},
        },
        _allow(
            "LookAtRoles",
            ["GetRole", "ListAttachedRolePolicies"],
            "iam",
            f"arn:aws:iam::{environment.account}:role/{environment.prefix}-*",
        ),
    ]  # fmt: skip


def everything(environment: Environment) -> list[dict[str, Any]]:
    """``make deploy``. Broad where the stacks are broad; but no client's data, and no role beyond the boundary."""
    account, prefix = environment.account, environment.prefix
    roles = f"arn:aws:iam::{account}:role/{prefix}-*"
    limit = f"arn:aws:iam::{account}:policy/{environment.boundary_policy}"
    within = {"StringEquals": {"iam:PermissionsBoundary": limit}}
    copies = environment.copy_region is not None
    services = (*_SERVICES, "backup", "backup-storage") if copies else _SERVICES
    regions = [environment.region, "us-east-1", *([environment.copy_region] if environment.copy_region else [])]
    linked = ["airflow.amazonaws.com", "ecs.amazonaws.com"]
    linked += ["backup.amazonaws.com", "replication.ecr.amazonaws.com"] if copies else []
    return [
        {
            "Sid": "Stacks",
            "Effect": "Allow",
            "Action": [f"{service}:*" for service in services],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": regions}},
        },
        {
            "Sid": "RolesWithinTheBoundary",
            "Effect": "Allow",
            "Action": [
                "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
                "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
            ],
            "Resource": roles,
            "Condition": within,
        },
        _allow(
            "Roles",
            [
                "DeleteRole", "GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies", "TagRole",
                "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole",
            ],
            "iam",
            roles,
        ),
        _allow(
            "Policies",
            [
                "CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "GetPolicy",
                "GetPolicyVersion", "ListEntitiesForPolicy", "ListPolicyVersions", "TagPolicy", "UntagPolicy",
            ],
            "iam",
            f"arn:aws:iam::{account}:policy/{prefix}-*",
        ),
        {
            "Sid": "HandRolesToServices",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": roles,
            "Condition": {
                "StringEquals": {
                    "iam:PassedToService": [
                        "airflow.amazonaws.com", "airflow-env.amazonaws.com", "ecs-tasks.amazonaws.com",
                        "vpc-flow-logs.amazonaws.com", *(["backup.amazonaws.com"] if copies else []),
                    ]
                }
            },
        },
        {
            "Sid": "RolesOfServices",
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": f"arn:aws:iam::{account}:role/aws-service-role/*",
            "Condition": {"StringEquals": {"iam:AWSServiceName": linked}},
        },
        {
            "Sid": "NeitherBoundaryNorPipeline",
            "Effect": "Deny",
            "Action": ["iam:*"],
            "Resource": [limit, f"arn:aws:iam::{account}:role/{_pipeline_role(environment, '*')}"],
        },
        {"Sid": "NoRoleWithoutIt", "Effect": "Deny", "Action": "iam:DeleteRolePermissionsBoundary", "Resource": "*"},
        {
            "Sid": "NoClientsData",
            "Effect": "Deny",
            "Action": [
                "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:DeleteTable",
                "dynamodb:GetItem", "dynamodb:PartiQL*", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan",
                "dynamodb:UpdateItem", "kms:ScheduleKeyDeletion", "logs:FilterLogEvents", "logs:GetLogEvents",
                "logs:StartQuery", "s3:DeleteBucket",
            ],
            "Resource": "*",
        },
        {
            "Sid": "NoClientsFiles",
            "Effect": "Deny",
            "Action": ["s3:DeleteObject*", "s3:GetObject*", "s3:PutObject*"],
            "NotResource": [f"arn:aws:s3:::{environment.bucket}/*"],
        },
    ]  # fmt: skip


def _configurations(environment: Environment, *actions: str, sid: str = "Configurations") -> list[dict[str, Any]]:
    bucket = f"arn:aws:s3:::{environment.bucket}"
    listing = {
        "Sid": f"List{sid}",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": bucket,
        "Condition": {"StringLike": {"s3:prefix": f"{_CONFIGS}/*"}},
    }
    objects = _allow(sid, list(actions), "s3", f"{bucket}/{_CONFIGS}/*")
    return [listing, objects] if "GetObject" in actions else [objects]


def _allow(sid: str, actions: list[str], service: str, resource: str) -> dict[str, Any]:
    named = [f"{service}:{action}" for action in actions]
    return {"Sid": sid, "Effect": "Allow", "Action": named, "Resource": resource}


def _pipeline_role(environment: Environment, name: str) -> str:
    """Not below the deliveries' prefix: what the pipeline may write there it must not write here."""
    return f"pipeline-{environment.prefix}-{name}"


def _role(environment: Environment, subject: str, name: str, statements: list[dict[str, Any]]) -> dict[str, Any]:
    existing = f"arn:aws:iam::{environment.account}:oidc-provider/{_ISSUER}"
    provider = {"Fn::If": ["NoProviderYet", {"Ref": "GitHub"}, existing]}
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{_ISSUER}:aud": "sts.amazonaws.com", f"{_ISSUER}:sub": subject}},
    }
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": _pipeline_role(environment, name),
            "MaxSessionDuration": _LONGEST_SESSION,
            "AssumeRolePolicyDocument": _document(trust),
            "Policies": [{"PolicyName": name, "PolicyDocument": _document(*statements)}],
        },
    }


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def main() -> int:
    """Write the template and say where. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment")
    parser.add_argument("repository", metavar="OWNER/REPOSITORY")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    try:
        environment = load(arguments.environment)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / f"pipeline-{environment.name}.template.json"
    path.write_text(json.dumps(template(environment, arguments.repository), indent=2) + "\n")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
