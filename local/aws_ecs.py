"""ECS for :mod:`local.aws`: a task is the container's command, run as a process of this machine.

A task gets the environment that the task definition and the overrides make, is stopped as Fargate stops it (SIGTERM,
then SIGKILL after 30 s), writes its lines to its log stream, and ends with its exit code. An image called ``missing…``
cannot be pulled. All this is what moto does not do by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from moto.ecs.models import EC2ContainerServiceBackend, Task
from moto.logs.models import logs_backends

_ROOT = Path(__file__).resolve().parent.parent
_STOP_SECONDS = 30
_KEPT = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")
"""What of this process's environment a container would have as well."""

_processes: dict[str, subprocess.Popen[str]] = {}


def install() -> None:
    """Make moto run tasks."""
    run_task, stop_task, describe_tasks, list_tasks = (
        EC2ContainerServiceBackend.run_task,
        EC2ContainerServiceBackend.stop_task,
        EC2ContainerServiceBackend.describe_tasks,
        EC2ContainerServiceBackend.list_tasks,
    )

    def run(self: Any, *arguments: Any, **options: Any) -> list[Task]:
        tasks = run_task(self, *arguments, **options)
        for task in tasks:
            _start(self, task)
        return tasks

    def stop(self: Any, cluster_str: str, task_str: str, reason: str) -> Task:
        tasks = self.tasks[self._get_cluster(cluster_str).name]
        task = next(one for arn, one in tasks.items() if arn.endswith(task_str.rpartition("/")[2]))
        task.stopped_reason, task.stop_code = reason, "UserInitiated"
        process = _processes.get(task.task_arn)
        if process is None:
            return stop_task(self, cluster_str, task_str, reason)
        process.terminate()
        threading.Timer(_STOP_SECONDS, process.kill).start()
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
    # moto moves tasks on by itself, with each look at them; here they move when their process does.
    Task.advance = lambda self: None  # type: ignore[method-assign]


def _start(backend: Any, task: Task) -> None:
    definition = backend.describe_task_definition(task.task_definition_arn)
    container = definition.container_definitions[0]
    if container["image"].startswith("missing"):
        task.last_status = task.desired_status = "STOPPED"
        task.stop_code, task.stopped_reason = "TaskFailedToStart", f"CannotPullContainerError: {container['image']}"
        return
    given = {item["name"]: item["value"] for item in container.get("environment", [])}
    for override in task.overrides.get("containerOverrides", []):
        given |= {item["name"]: item["value"] for item in override.get("environment", [])}
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, *container["command"][1:]],
        env={**environment, "PYTHONPATH": str(_ROOT / "plugins"), **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=_ROOT,
    )
    task.last_status, task.pid = "RUNNING", process.pid  # type: ignore[attr-defined]
    _processes[task.task_arn] = process
    options = (container.get("logConfiguration") or {}).get("options") or {}
    group = options.get("awslogs-group", "")
    stream = f"{options.get('awslogs-stream-prefix', '')}/{container['name']}/{task.task_arn.rpartition('/')[2]}"
    threading.Thread(target=_forward, args=(backend, process, group, stream), daemon=True).start()


def _forward(backend: Any, process: subprocess.Popen[str], group: str, stream: str) -> None:
    logs = logs_backends[backend.account_id][backend.region_name]
    if group and group not in logs.groups:
        logs.create_log_group(group, {})
    if group:
        logs.create_log_stream(group, stream)
    for line in process.stdout or ():
        if group:
            event = {"timestamp": int(time.time() * 1000), "message": line.rstrip("\n")}
            logs.put_log_events(group, stream, [event])
    process.wait()


def _settle(task: Task) -> None:
    """Bring the task's state up to its process's."""
    process = _processes.get(task.task_arn)
    code = process.poll() if process else None
    if process is None or code is None:
        return
    task.last_status = task.desired_status = "STOPPED"
    container = task.containers[0]
    container.last_status, container.exitCode = "STOPPED", code if code >= 0 else 128 - code
    if not task.stopped_reason:
        task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"
