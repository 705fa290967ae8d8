"""Who may do what: three roles, and policies that follow the clients' configurations.

This stack alone changes when a client brings a new bucket or role; it takes seconds and touches nothing that runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra import permissions, policies
from infra.clients import Needs
from infra.data_stack import DataStack
from infra.settings import Environment


class AccessStack(cdk.Stack):
    """The roles of MWAA, of the transfer container, and of what starts it."""

    def __init__(
        self, scope: Construct, environment: Environment, needs: Needs, data: DataStack, **kwargs: Any
    ) -> None:
        super().__init__(scope, f"{environment.prefix}-access", **kwargs)
        self._environment = environment
        self._data = data
        own_tasks = {
            "StringEquals": {"aws:SourceAccount": environment.account},
            "ArnLike": {"aws:SourceArn": environment.arn("ecs", "*")},
        }
        tasks = iam.ServicePrincipal("ecs-tasks.amazonaws.com", conditions=own_tasks)
        self.airflow = iam.Role(
            self,
            "Airflow",
            role_name=f"{environment.prefix}-airflow",
            assumed_by=iam.CompositePrincipal(
                iam.ServicePrincipal("airflow.amazonaws.com"), iam.ServicePrincipal("airflow-env.amazonaws.com")
            ),
        )
        self.container = iam.Role(self, "Container", role_name=f"{environment.prefix}-transfer", assumed_by=tasks)
        self.start = iam.Role(
            self, "ContainerStart", role_name=f"{environment.prefix}-transfer-start", assumed_by=tasks
        )
        self._attach("AirflowDeliveries", self.airflow, permissions.worker(environment, needs))
        self._attach("ContainerDeliveries", self.container, permissions.container(environment, needs))
        self._attach("MwaaItself", self.airflow, permissions.mwaa_itself(environment))
        self._attach("ContainerStartOnly", self.start, permissions.container_start(environment))
        for role in (self.airflow, self.container):
            self._allow_the_key(role)

    def _attach(self, name: str, role: iam.Role, grants: list[permissions.Grant]) -> None:
        for number, document in enumerate(policies.documents(grants), 1):
            policy = iam.CfnManagedPolicy(
                self,
                f"{name}{number}",
                managed_policy_name=f"{self._environment.prefix}-{name}-{number}",
                policy_document=document,
                roles=[role.role_name],
            )
            for grant in grants:
                _explain(policy, (*grant.actions, *grant.resources), grant.wildcard)

    def _allow_the_key(self, role: iam.Role) -> None:
        """The key of ledger and pick-ups, through the services only, and the key of Airflow's queue."""
        own = iam.PolicyStatement(
            sid="OwnKey",
            actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            resources=[self._data.key.key_arn],
            conditions=self._through("dynamodb", "s3"),
        )
        queue = iam.PolicyStatement(
            sid="QueueKey",
            actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"],
            not_resources=[f"arn:aws:kms:*:{self._environment.account}:key/*"],
            conditions=self._through("sqs"),
        )
        policy = iam.CfnManagedPolicy(
            self,
            f"{role.node.id}Keys",
            managed_policy_name=f"{self._environment.prefix}-{role.node.id}-Keys",
            roles=[role.role_name],
            policy_document=iam.PolicyDocument(statements=[own, queue] if role is self.airflow else [own]),
        )
        _explain(
            policy, (*own.actions, *queue.not_resources), "the key, and only through the services that hold the data"
        )

    def _through(self, *services: str) -> dict[str, Any]:
        region = self._environment.region
        return {"StringEquals": {"kms:ViaService": [f"{service}.{region}.amazonaws.com" for service in services]}}


def _explain(policy: iam.CfnManagedPolicy, names: Iterable[str], reason: str) -> None:
    """Tell the policy scanner why a wildcard is there; one without a reason stays a finding."""
    for name in names:
        if "*" in name and reason:
            kind = "Resource" if name == "*" or name.startswith("arn:") else "Action"
            cdk.Validations.of(policy).acknowledge(
                cdk.Acknowledgment(id=f"AwsSolutions-IAM5[{kind}::{name}]", reason=reason)
            )
