"""R6.1: a container of its own for a big file, started through Airflow's ECS operator and awaited in the triggerer."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.ecs import EcsHook
from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from botocore.exceptions import BotoCoreError, ClientError

from client_delivery.container import ORDER_VARIABLE, Order, reference_to
from client_delivery.operators import container_trouble
from client_delivery.operators.triggers.container import TaskDoneTrigger
from client_delivery.transfer.plan import longest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from client_delivery.run.batches import BatchRef
    from client_delivery.run.context import Run
    from client_delivery.run.offloaded import Trouble
    from client_delivery.runtime.settings import OffloadSettings

LARGEST_OVERRIDES = 8_192
"""Characters that ECS takes for all overrides of a task, their JSON included (RunTask's ``overrides``)."""
_LARGE = 100 * 1024**3


class ContainerOperator(EcsRunTaskOperator):
    """Runs one batch in a container. A try that finds the container of an earlier try running waits for that one.

    :param run: the run that the batch belongs to.
    :param batch: the batch, as registering described it.
    :param refusals: how often ECS has had no room for it; after the first time it no longer asks for Spot.
    """

    def __init__(self, *, run: Run, batch: BatchRef, refusals: int = 0, **kwargs: Any) -> None:
        ecs = run.settings.offload
        if ecs is None:
            raise AirflowException(
                "This batch was planned for a container, but delivery.ecs_cluster and delivery.ecs_task_definition are "
                "no longer set. Set them again, or clear the whole run to plan it anew"
            )
        self._run, self._batch, self._ecs = run, batch, ecs
        spot = ecs.spot and not refusals
        limit = run.config.destination.max_bytes_per_second
        allowed = longest(batch["files"], batch["bytes"], limit).total_seconds()
        super().__init__(
            cluster=ecs.cluster,
            task_definition=ecs.task_definition,
            launch_type="" if spot else "FARGATE",
            capacity_provider_strategy=_SPOT if spot else None,
            network_configuration=_network(ecs),
            group=group_of(run.config.delivery_key),
            overrides={},
            container_name=ecs.container,
            awslogs_group=ecs.log_group or None,
            awslogs_stream_prefix=ecs.log_stream_prefix if ecs.log_group else None,
            waiter_delay=ecs.poll_seconds,
            # Waiting has an end as well; the next try finds the container, or follows it.
            waiter_max_attempts=math.ceil(allowed / ecs.poll_seconds),
            deferrable=True,
            reattach=True,
            **kwargs,
        )

    def start(self, context: Context, kept: dict[str, Any]) -> None:
        """Start the container, or find it, and defer; ``kept`` is handed to ``execute_complete`` besides the event.

        Raises whatever kept ECS from taking it: :func:`~client_delivery.operators.container_trouble.not_started`
        explains.
        """
        self.overrides = self._overrides()
        # Airflow's guard around ``execute`` is for operators that a DAG author nests.
        execute: Any = EcsRunTaskOperator.execute
        try:
            execute.__wrapped__(self, context)
        except TaskDeferred as deferred:
            trigger = TaskDoneTrigger(**deferred.trigger.serialize()[1])
            raise TaskDeferred(
                trigger=trigger, method_name=deferred.method_name, kwargs=kept, timeout=deferred.timeout
            ) from None

    def ended(self, event: dict[str, Any]) -> Trouble | None:
        """What is wrong with how the container ended; None if the ledger says all there is to say."""
        client: Any = self.client
        try:
            tasks = client.describe_tasks(cluster=event["cluster"], tasks=[event["task_arn"]])["tasks"]
        except (BotoCoreError, ClientError) as error:
            return container_trouble.end_unknown(str(error))
        if not tasks:
            return container_trouble.end_unknown(event.get("why") or "ECS no longer knows it")
        if tasks[0].get("lastStatus") != "STOPPED":
            return container_trouble.end_unknown(event.get("why") or "ECS says that it runs")
        return container_trouble.ended(tasks[0])

    def _overrides(self) -> dict[str, Any]:
        run, large = self._run, self._batch["bytes"] >= _LARGE

        def overrides(order: str) -> dict[str, Any]:
            return {
                # One core encrypts and hashes as fast as one of Fargate's network allowances; two pay for large files.
                "cpu": "2048" if large else "1024",
                "memory": "4096" if large else "2048",
                "containerOverrides": [
                    {"name": self._ecs.container, "environment": [{"name": ORDER_VARIABLE, "value": order}]}
                ],
            }

        order = Order(run.config, run.owner, self._batch["batch"], run.bypass).to_json()
        made = overrides(order)
        if len(json.dumps(made)) > LARGEST_OVERRIDES:
            made = overrides(
                reference_to(run.orders.leave(run.owner, self._batch["batch"], order), run.config.delivery_key)
            )
        return made


def stop_containers(ecs: OffloadSettings, delivery_key: str, reason: str) -> list[str]:
    """Stop every container that still works for that client; returns their ARNs (R3.5)."""
    client = EcsHook(aws_conn_id="aws_default").conn
    family = ecs.task_definition.rpartition("/")[2].partition(":")[0]
    stopped = []
    for page in client.get_paginator("list_tasks").paginate(
        cluster=ecs.cluster, family=family, desiredStatus="RUNNING", PaginationConfig={"PageSize": 100}
    ):
        if not page["taskArns"]:
            continue
        for task in client.describe_tasks(cluster=ecs.cluster, tasks=page["taskArns"])["tasks"]:
            if task.get("group") == group_of(delivery_key):
                client.stop_task(cluster=ecs.cluster, task=task["taskArn"], reason=reason[:1000])
                stopped.append(task["taskArn"])
    return stopped


def group_of(delivery_key: str) -> str:
    """How a client's containers are told from others."""
    return f"delivery:{delivery_key.replace('#', ':')}"


_SPOT = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]


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
