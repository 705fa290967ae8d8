"""R6.1: a container of its own for a big file, started through Airflow's ECS operator and awaited in the triggerer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.ecs import EcsHook
from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.sdk.exceptions import AirflowException

from delivery.container import ORDER_VARIABLE, ExitCode, Order

if TYPE_CHECKING:
    from airflow.sdk import Context

    from delivery.operators.register_files import BatchRef
    from delivery.operators.run import Run
    from delivery.settings import OffloadSettings

_LARGEST_ORDER = 7_500
"""Bytes; ECS takes 8,192 for all overrides of a task."""
_LARGE = 100 * 1024**3
_EXPECTED = frozenset({ExitCode.DELIVERED, ExitCode.UNFINISHED, ExitCode.FAILED})
"""With these the ledger says what has become of the files."""


@dataclass(frozen=True)
class Trouble:
    """A container that ended without saying in the ledger what has become of its files."""

    text: str
    counts: bool
    """Whether it is a failed attempt of the files. One that was interrupted is not: it had begun, and is resumed."""


class ContainerOperator(EcsRunTaskOperator):
    """Runs one batch in a container. A try that finds the container of an earlier try running waits for that one.

    :param run: the run that the batch belongs to.
    :param batch: the batch, as registering described it.
    """

    def __init__(self, *, run: Run, batch: BatchRef, **kwargs: Any) -> None:
        ecs = run.settings.offload
        if ecs is None:
            raise AirflowException(
                "This batch was planned for a container, but delivery.ecs_cluster and delivery.ecs_task_definition are "
                "no longer set. Set them again, or clear the whole run to plan it anew."
            )
        order = Order(run.config, run.owner, batch["batch"], run.bypass).to_json()
        if len(order) > _LARGEST_ORDER:
            raise AirflowException(
                f"The configuration {run.config.name!r} makes {len(order)} bytes for the container; ECS takes "
                f"{_LARGEST_ORDER}. Shorten it (old host keys, patterns), or set a larger offload_threshold."
            )
        large = batch["bytes"] >= _LARGE
        super().__init__(
            cluster=ecs.cluster,
            task_definition=ecs.task_definition,
            launch_type="" if ecs.spot else "FARGATE",
            capacity_provider_strategy=_SPOT_FIRST if ecs.spot else None,
            network_configuration=_network(ecs),
            group=group_of(run.config.delivery_key),
            overrides={
                # One core encrypts and hashes as fast as one of Fargate's network allowances; two pay for large files.
                "cpu": "2048" if large else "1024",
                "memory": "4096" if large else "2048",
                "containerOverrides": [
                    {"name": ecs.container, "environment": [{"name": ORDER_VARIABLE, "value": order}]}
                ],
            },
            container_name=ecs.container,
            awslogs_group=ecs.log_group or None,
            awslogs_stream_prefix=ecs.log_stream_prefix if ecs.log_group else None,
            waiter_delay=ecs.poll_seconds,
            deferrable=True,
            reattach=True,
            **kwargs,
        )

    def start(self, context: Context) -> None:
        """Start the container, or find it, and defer. Airflow's guard is for operators that a DAG author nests."""
        execute: Any = EcsRunTaskOperator.execute
        execute.__wrapped__(self, context)

    def ended(self, event: dict[str, Any]) -> Trouble | None:
        """What is wrong with how the container ended; None if the ledger says all there is to say."""
        client: Any = self.client
        task = client.describe_tasks(cluster=event["cluster"], tasks=[event["task_arn"]])["tasks"][0]
        container = task["containers"][0] if task.get("containers") else {}
        code = container.get("exitCode")
        reason = container.get("reason") or task.get("stoppedReason") or "no reason given"
        if task.get("stopCode") == "TaskFailedToStart":
            return Trouble(f"The container could not be started: {reason}", counts=True)
        if code in _EXPECTED:
            return None
        if code == ExitCode.STOPPED:
            return Trouble(f"The container was told to stop: {reason}. The next try resumes.", counts=False)
        if code in (137, 139, 143) or "OutOfMemory" in reason:
            return Trouble(
                f"The container was killed (exit code {code}): {reason}. The next try resumes.", counts=False
            )
        return Trouble(f"The container ended with exit code {code}: {reason}. Its log says more.", counts=True)


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


_SPOT_FIRST = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]


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
