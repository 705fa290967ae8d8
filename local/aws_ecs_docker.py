"""ECS tasks as real containers, for :mod:`local.aws` in docker-compose: as Fargate runs them, on the engine's socket.

Containers join the network and the compose project of the container that this runs in, so that they find the other
stand-ins by name, and are gone when this ends.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import docker
from docker.errors import DockerException, NotFound
from docker.models.containers import Container

from local.aws_ecs import STOP_SECONDS, CannotStartError

_LABEL = "client-file-delivery.ecs-task"


class DockerTasks:
    """Starts containers, and removes them at the end."""

    def __init__(self, image: str) -> None:
        self._image = image
        self._engine = docker.from_env()
        own = self._engine.containers.get(socket.gethostname())
        self._network = next(iter(own.attrs["NetworkSettings"]["Networks"]))
        self._project = own.labels.get("com.docker.compose.project", "")
        self.remove_all()

    def start(
        self, container: Mapping[str, Any], environment: Mapping[str, str], overrides: Mapping[str, Any]
    ) -> ContainerTask:
        """Start one: unprivileged, read-only, with the task's share of processor and memory."""
        if container["image"].startswith("missing"):
            raise CannotStartError(f"CannotPullContainerError: {container['image']}")
        cores = min(int(overrides.get("cpu") or 1024) / 1024, os.cpu_count() or 1)
        try:
            started = self._engine.containers.run(
                self._image,
                environment=dict(environment),
                network=self._network,
                labels={_LABEL: self._project, "com.docker.compose.project": self._project},
                nano_cpus=int(cores * 1e9),
                mem_limit=f"{overrides.get('memory') or 512}m",
                read_only=True,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
                detach=True,
            )
        except DockerException as error:
            raise CannotStartError(f"CannotStartContainerError: {error}") from error
        return ContainerTask(started)

    def remove_all(self) -> None:
        """Remove every container of this project's tasks, those of an earlier life included."""
        for container in self._engine.containers.list(all=True, filters={"label": f"{_LABEL}={self._project}"}):
            container.remove(force=True)


class ContainerTask:
    """A task that is a container."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def lines(self) -> Iterable[str]:
        """What it writes, until it ends."""
        rest = b""
        for piece in self._container.logs(stream=True, follow=True):
            *whole, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        if rest:
            yield rest.decode(errors="replace")

    def exit_code(self) -> int | None:
        """The container's own; 137 if it is gone."""
        try:
            self._container.reload()
        except NotFound:
            return 137
        state = self._container.attrs["State"]
        return int(state["ExitCode"]) if state["Status"] in ("exited", "dead") else None

    def stop(self) -> None:
        """SIGTERM, then SIGKILL."""
        threading.Thread(target=self._container.stop, kwargs={"timeout": STOP_SECONDS}, daemon=True).start()
