"""Copies in a second region, for the day on which the first one is lost: of the ledger daily, of every image at once.

Off unless the environment's file names a `copy_region`: the ledger's file names may be health data, and where they are
kept is for their owner to decide. Restoring: docs/operators/upkeep.md, "Loss of a region".
"""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.policy_scanner import explain
from infra.settings import Environment

_KEEP = cdk.RemovalPolicy.RETAIN
_POLICY = "service-role/AWSBackupServiceRolePolicyForBackup"
"""What a role needs for backups of DynamoDB that can be copied to another region (AWS Backup's developer guide,
"Advanced DynamoDB backup")."""


class VaultStack(cdk.Stack):
    """In the second region: where the copies of the ledger are."""

    def __init__(self, scope: Construct, environment: Environment, **kwargs: Any) -> None:
        super().__init__(scope, f"{environment.prefix}-vault", **kwargs)
        _make_vault(self, environment)


class CopiesStack(cdk.Stack):
    """In the first region: what makes the copies."""

    def __init__(self, scope: Construct, environment: Environment, there: str, **kwargs: Any) -> None:
        super().__init__(scope, f"{environment.prefix}-copies", **kwargs)
        self._environment = environment
        self._copy_the_ledger(_make_vault(self, environment), there)
        self._copy_images(there)

    def _copy_the_ledger(self, vault: backup.CfnBackupVault, region: str) -> None:
        """Each night: what is there is a backup; what leaves the region is a copy of it, under a key of that region."""
        environment = self._environment
        keep = {"deleteAfterDays": environment.copies_kept_days}
        there = f"arn:aws:backup:{region}:{environment.account}:backup-vault:{environment.vault}"
        plan = backup.CfnBackupPlan(
            self,
            "Plan",
            backup_plan={
                "backupPlanName": environment.vault,
                "backupPlanRule": [
                    {
                        "ruleName": "nightly",
                        "targetBackupVault": environment.vault,
                        "scheduleExpression": "cron(0 2 * * ? *)",
                        "startWindowMinutes": 60,
                        "completionWindowMinutes": 720,
                        "lifecycle": keep,
                        "copyActions": [{"destinationBackupVaultArn": there, "lifecycle": keep}],
                    }
                ],
            },
        )
        plan.add_resource_dependency(vault)
        role = iam.Role(
            self,
            "Backup",
            role_name=f"{environment.prefix}-backup",
            assumed_by=iam.ServicePrincipal(
                "backup.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": environment.account}}
            ),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(_POLICY)],
        )
        managed = f"AwsSolutions_IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_POLICY}]"
        explain(role, **{managed: "AWS Backup asks for this very policy, and adds to it what it comes to need"})
        backup.CfnBackupSelection(
            self,
            "Ledger",
            backup_plan_id=plan.attr_backup_plan_id,
            backup_selection={
                "selectionName": "ledger",
                "iamRoleArn": role.role_arn,
                "resources": [environment.arn("dynamodb", f"table/{environment.ledger_table}")],
            },
        )

    def _copy_images(self, region: str) -> None:
        """The registry's only configuration of this kind: the account is this environment's alone."""
        environment = self._environment
        ecr.CfnReplicationConfiguration(
            self,
            "Images",
            replication_configuration={
                "rules": [
                    {
                        "destinations": [{"region": region, "registryId": environment.account}],
                        "repositoryFilters": [
                            {"filter": f"{environment.prefix}-transfer", "filterType": "PREFIX_MATCH"}
                        ],
                    }
                ]
            },
        )


def _make_vault(stack: cdk.Stack, environment: Environment) -> backup.CfnBackupVault:
    key = kms.Key(
        stack,
        "Key",
        description=f"Copies of the ledger of the client file delivery, {environment.name}",
        enable_key_rotation=True,
        removal_policy=_KEEP,
    )
    vault = backup.CfnBackupVault(stack, "Vault", backup_vault_name=environment.vault, encryption_key_arn=key.key_arn)
    vault.apply_removal_policy(_KEEP)
    return vault
