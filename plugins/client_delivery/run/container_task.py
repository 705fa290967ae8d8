"""The request to ECS for a batch: the container's size, time limit, order, and owner (R6.1)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client_delivery.run.order import ORDER_VARIABLE, Order, reference_to
from client_delivery.run.transfer import longest_try

if TYPE_CHECKING:
    from client_delivery.run.batches import BatchRef
    from client_delivery.run.context import Run
    from client_delivery.runtime.settings import OffloadSettings

LARGEST_OVERRIDES = 8_192
"""Characters that ECS accepts for all overrides of a task, their JSON included (RunTask's ``overrides``)."""
_LARGE = 100 * 1024**3
_SPOT = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]


class NoContainers(Exception):
    """The environment no longer has containers. The message says what to do."""


@dataclass(frozen=True)
class ContainerTask:
    """One batch as a task of ECS.

    :param run: the run that the batch belongs to.
    :param batch: the batch, as registration described it.
    :param refusals: how often ECS has had no room for it; after the first time it no longer asks for Spot.
    """

    run: Run
    batch: BatchRef
    refusals: int = 0

    @property
    def ecs(self) -> OffloadSettings:
        """The cluster and task definition of containers. Raises :class:`NoContainers`."""
        if self.run.settings.offload is None:
            raise NoContainers(
                "This batch was planned for a container, but delivery.ecs_cluster and delivery.ecs_task_definition "
                "are no longer set. Set them again, or clear the whole run to plan it again"
            )
        return self.run.settings.offload

    def arguments(self) -> dict[str, Any]:
        """The arguments of Airflow's ECS operator, except the overrides. Raises :class:`NoContainers`."""
        ecs = self.ecs
        spot = ecs.spot and not self.refusals
        return {
            "cluster": ecs.cluster,
            "task_definition": ecs.task_definition,
            "launch_type": "" if spot else "FARGATE",
            "capacity_provider_strategy": _SPOT if spot else None,
            "network_configuration": _network(ecs),
            "group": group_of(self.run.config.delivery_key),
            "container_name": ecs.container,
            "awslogs_group": ecs.log_group or None,
            "awslogs_stream_prefix": ecs.log_stream_prefix if ecs.log_group else None,
            "waiter_delay": ecs.poll_seconds,
            # Waiting ends too; the next try finds the container, or follows it.
            "waiter_max_attempts": math.ceil(
                longest_try(self.run.config, self.batch).total_seconds() / ecs.poll_seconds
            ),
        }

    def overrides(self) -> dict[str, Any]:
        """The container's size and its order, which goes through the ledger if it is too long for ECS."""
        run, number = self.run, self.batch["batch"]
        order = Order(run.config, run.owner, number, run.bypass).to_json()
        made = self._ordering(order)
        if len(json.dumps(made)) > LARGEST_OVERRIDES:
            made = self._ordering(reference_to(run.orders.leave(run.owner, number, order), run.config.delivery_key))
        return made

    def _ordering(self, order: str) -> dict[str, Any]:
        # One core encrypts and hashes as fast as one of Fargate's network allowances; two pay for large files.
        cpu, memory = ("2048", "4096") if self.batch["bytes"] >= _LARGE else ("1024", "2048")
        environment = [{"name": ORDER_VARIABLE, "value": order}]
        return {
            "cpu": cpu,
            "memory": memory,
            "containerOverrides": [{"name": self.ecs.container, "environment": environment}],
        }


def group_of(delivery_key: str) -> str:
    """Distinguishes a client's containers from others."""
    return f"delivery:{delivery_key.replace('#', ':')}"


def family_of(ecs: OffloadSettings) -> str:
    """The family of the task definition, by which ECS lists the tasks of all its revisions."""
    return ecs.task_definition.rpartition("/")[2].partition(":")[0]


def works_for(task: Mapping[str, Any], delivery_key: str) -> bool:
    """Whether a task, as ECS describes it, is a container of this client's."""
    return bool(task.get("group") == group_of(delivery_key))


def stop_all(client: Any, ecs: OffloadSettings, delivery_key: str, reason: str) -> list[str]:
    """Stop every container that still works for that client; returns their ARNs (R3.5).

    :param client: ECS.
    """
    stopped = []
    for page in client.get_paginator("list_tasks").paginate(
        cluster=ecs.cluster, family=family_of(ecs), desiredStatus="RUNNING", PaginationConfig={"PageSize": 100}
    ):
        if not page["taskArns"]:
            continue
        for task in client.describe_tasks(cluster=ecs.cluster, tasks=page["taskArns"])["tasks"]:
            if works_for(task, delivery_key):
                client.stop_task(cluster=ecs.cluster, task=task["taskArn"], reason=reason[:1000])
                stopped.append(task["taskArn"])
    return stopped


def _network(ecs: OffloadSettings) -> dict[str, Any] | None:
    if not ecs.subnets:
        return None
    return {
        "awsvpcConfiguration": {
            "subnets": list(ecs.subnets),
            "securityGroups": list(ecs.security_groups),
            "assignPublicIp": "DISABLED",
        }
    }
