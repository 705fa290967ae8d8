"""ECS for :mod:`local.aws`: tasks really run, and end with their own exit code.

A task gets the environment that the task definition and the overrides make, is stopped as Fargate stops it (SIGTERM,
then SIGKILL after 30 s), and writes its lines to its log stream. An image called ``missing…`` cannot be pulled, and
overrides that are too long are refused. Want of capacity and a forgotten task are responses on order
(:mod:`local.faults`). All this is what moto does not do by itself. What a task is made of, a process or a container, is
handed in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from moto.ecs.exceptions import InvalidParameterException
from moto.ecs.models import EC2ContainerServiceBackend, Task
from moto.logs.models import logs_backends

STOP_SECONDS = 30
_LONGEST_OVERRIDES = 8_192
"""Characters, as RunTask's documentation has it; the words of the refusal are those of artilleryio/artillery#2584."""
_ROOT = Path(__file__).resolve().parent.parent
_KEPT = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")
"""What of this process's environment a container would have as well."""


class CannotStartError(Exception):
    """A task could not be started; the message is the reason that ECS gives."""


class RunningTask(Protocol):
    """What runs for a task."""

    def lines(self) -> Iterable[str]:
        """What it writes, until it ends."""

    def exit_code(self) -> int | None:
        """None while it runs; 128 + n if signal n ended it."""

    def stop(self) -> None:
        """Ask it to end, and end it after ``STOP_SECONDS``; returns at once."""


Starter = Callable[[Mapping[str, Any], Mapping[str, str], Mapping[str, Any]], RunningTask]
"""Starts a container: its definition, its environment, the task's overrides. Raises :class:`CannotStartError`."""


class ProcessTask:
    """A task that is a process of this machine."""

    def __init__(
        self, container: Mapping[str, Any], environment: Mapping[str, str], overrides: Mapping[str, Any]
    ) -> None:
        if container["image"].startswith("missing"):
            raise CannotStartError(f"CannotPullContainerError: {container['image']}")
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, *container["command"][1:]],
            env={**kept, "PYTHONPATH": str(_ROOT / "plugins"), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=_ROOT,
        )
        self.pid = self._process.pid

    def lines(self) -> Iterable[str]:
        """What it writes, until it ends."""
        yield from self._process.stdout or ()
        self._process.wait()

    def exit_code(self) -> int | None:
        """As a shell would say it."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        self._process.terminate()
        threading.Timer(STOP_SECONDS, self._process.kill).start()


_running: dict[str, RunningTask] = {}


def install(start: Starter = ProcessTask) -> None:
    """Make moto run tasks."""
    run_task, stop_task, describe_tasks, list_tasks = (
        EC2ContainerServiceBackend.run_task,
        EC2ContainerServiceBackend.stop_task,
        EC2ContainerServiceBackend.describe_tasks,
        EC2ContainerServiceBackend.list_tasks,
    )

    def run(
        self: Any, cluster: str, definition: str, count: int, overrides: Any, *more: Any, **named: Any
    ) -> list[Task]:
        if len(json.dumps(overrides or {})) > _LONGEST_OVERRIDES:
            raise InvalidParameterException(f"Container Overrides length must be at most {_LONGEST_OVERRIDES}")
        tasks = run_task(self, cluster, definition, count, overrides, *more, **named)
        for task in tasks:
            _start(self, task, start)
        return tasks

    def stop(self: Any, cluster_str: str, task_str: str, reason: str) -> Task:
        tasks = self.tasks[self._get_cluster(cluster_str).name]
        task = next(one for arn, one in tasks.items() if arn.endswith(task_str.rpartition("/")[2]))
        task.stopped_reason, task.stop_code = reason, "UserInitiated"
        running = _running.get(task.task_arn)
        if running is None:
            return stop_task(self, cluster_str, task_str, reason)
        running.stop()
        return task

    def describe(self: Any, cluster_str: str, tasks: Any) -> list[Task]:
        found = describe_tasks(self, cluster_str, tasks)
        for task in found:
            _settle(task)
        return found

    def listed(self: Any, *arguments: Any, **options: Any) -> list[Task]:
        for tasks in self.tasks.values():
            for task in tasks.values():
                _settle(task)
        return list_tasks(self, *arguments, **options)

    EC2ContainerServiceBackend.list_tasks = listed  # type: ignore[method-assign]
    EC2ContainerServiceBackend.run_task = run  # type: ignore[method-assign]
    EC2ContainerServiceBackend.stop_task = stop  # type: ignore[method-assign]
    EC2ContainerServiceBackend.describe_tasks = describe  # type: ignore[method-assign]
    # moto moves tasks on by itself, with each look at them; here they move when what runs for them does.
    Task.advance = lambda self: None  # type: ignore[method-assign]


def _start(backend: Any, task: Task, start: Starter) -> None:
    definition = backend.describe_task_definition(task.task_definition_arn)
    container = definition.container_definitions[0]
    environment = {item["name"]: item["value"] for item in container.get("environment", [])}
    for override in task.overrides.get("containerOverrides", []):
        environment |= {item["name"]: item["value"] for item in override.get("environment", [])}
    try:
        running = start(container, environment, task.overrides)
    except CannotStartError as error:
        task.last_status = task.desired_status = "STOPPED"
        task.stop_code, task.stopped_reason = "TaskFailedToStart", str(error)
        task.containers[0].exitCode = None  # moto says 0; ECS has none of a container that never ran
        return
    task.last_status, task.pid = "RUNNING", getattr(running, "pid", None)  # type: ignore[attr-defined]
    _running[task.task_arn] = running
    options = (container.get("logConfiguration") or {}).get("options") or {}
    group = options.get("awslogs-group", "")
    stream = f"{options.get('awslogs-stream-prefix', '')}/{container['name']}/{task.task_arn.rpartition('/')[2]}"
    threading.Thread(target=_forward, args=(backend, running, group, stream), daemon=True).start()


def _forward(backend: Any, running: RunningTask, group: str, stream: str) -> None:
    logs = logs_backends[backend.account_id][backend.region_name]
    if group and group not in logs.groups:
        logs.create_log_group(group, {})
    if group:
        logs.create_log_stream(group, stream)
    for line in running.lines():
        if group:
            event = {"timestamp": int(time.time() * 1000), "message": line.rstrip("\n")}
            logs.put_log_events(group, stream, [event])


def _settle(task: Task) -> None:
    """Bring the task's state up to what runs for it."""
    running = _running.get(task.task_arn)
    code = running.exit_code() if running else None
    if code is None:
        return
    task.last_status = task.desired_status = "STOPPED"
    container = task.containers[0]
    container.last_status, container.exitCode = "STOPPED", code
    if not task.stopped_reason:
        task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"
