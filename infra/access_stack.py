"""Who may do what: policies that follow the clients' configurations.

This stack alone changes when a client brings a new bucket or role; it touches nothing that runs. The roles that
partners trust are in the data stack, for they outlive their policies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra import permissions, policies
from infra.clients import Needs
from infra.data_stack import DataStack, ecs_tasks_of
from infra.settings import Environment


class AccessStack(cdk.Stack):
    """What the roles of MWAA and of the transfer container may do; and the role that starts the container."""

    def __init__(
        self, scope: Construct, environment: Environment, needs: Needs, data: DataStack, **kwargs: Any
    ) -> None:
        super().__init__(scope, f"{environment.prefix}-access", **kwargs)
        self._environment = environment
        self._data = data
        self.start = iam.Role(
            self,
            "ContainerStart",
            role_name=f"{environment.prefix}-transfer-start",
            assumed_by=ecs_tasks_of(environment),
        )
        # The platform refers to it. Said here, so that the template is the same where only this stack is made.
        self.export_value(self.start.role_arn)
        self._attach("AirflowDeliveries", data.airflow, permissions.worker(environment, needs))
        self._attach("ContainerDeliveries", data.container, permissions.container(environment, needs))
        mwaa = [*permissions.mwaa_itself(environment), *permissions.maintenance(environment)]
        self._attach("MwaaItself", data.airflow, mwaa)
        self._attach("ContainerStartOnly", self.start, permissions.container_start(environment))
        for role in (data.airflow, data.container):
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
            policy_document=iam.PolicyDocument(statements=[own, queue] if role is self._data.airflow else [own]),
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
