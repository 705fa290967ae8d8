"""The stack of docker-compose.yaml, built and started from this checkout, with a project name and ports of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from local.airflow_api import AirflowApi
from local.ports import free_port
from local.process import ROOT
from local.wait import wait_until

PROJECT = "delivery-boot-test"
WORK = ROOT / ".local" / "test-compose"


class Compose:
    """`docker compose`, for the project under test."""

    def __init__(self, include: Path) -> None:
        self.include = include
        self.port = free_port()
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "UI_PORT": str(self.port),
            "AWS_PORT": str(free_port()),
            "MAILBOX_PORT": str(free_port()),
            "INCLUDE": str(include),
        }

    def __call__(self, *command: str, seconds: float = 600) -> str:
        """Run one command to its end; a failure shows what it printed."""
        done = subprocess.run(
            ["docker", "compose", "--env-file", "docker/celery.env", *command],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        print(f"$ docker compose {' '.join(command)}  -> {done.returncode}\n{done.stdout[-6000:]}")
        if done.returncode:
            raise RuntimeError(f"docker compose {' '.join(command)}: {done.stdout[-3000:]}\n{done.stderr[-5000:]}")
        return done.stdout

    def airflow(self) -> AirflowApi:
        """Airflow, as its administrator."""
        passwords = json.loads(self("exec", "-T", "api-server", "cat", "/run/airflow-secrets/passwords.json"))
        return AirflowApi(f"http://127.0.0.1:{self.port}", "admin", passwords["admin"])

    def python(self, code: str) -> str:
        """Run Python inside the stack, where the stand-ins and their secrets are."""
        return self("run", "--rm", "-T", "--no-deps", "samples", "python", "-c", code).strip()

    def configure(self, client: str, **fields: object) -> None:
        """Edit a client's YAML; as DEXTR would, on the laptop's disk."""
        path = self.include / "client_configs" / f"{client}.yaml"
        content = yaml.safe_load(path.read_text()) if path.exists() else {}
        path.write_text(yaml.safe_dump(content | fields, sort_keys=False))


@pytest.fixture(scope="package")
def compose() -> Iterator[Compose]:
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no Docker engine answers: the compose stack is not booted")
    # Not below pytest's own directories: the containers' user could not read them.
    shutil.rmtree(WORK, ignore_errors=True)
    include = WORK / "include"
    shutil.copytree(ROOT / "include", include)
    for path in include.rglob("*.yaml"):
        # Runs are triggered by the tests, so that each knows its own.
        path.write_text(path.read_text() + "\nschedule: null\n")
    compose = Compose(include)
    try:
        compose("build", seconds=1800)
        compose("up", "--wait", seconds=600)
        airflow = compose.airflow()
        wait_until(lambda: len(airflow.dags()) == 8, "every client has its DAG", seconds=120)
        yield compose
    finally:
        logs = compose("logs", "--no-color", "--timestamps")
        (WORK / "compose.log").write_text(logs)
        compose("down", "--volumes", "--timeout", "20")
        left = subprocess.run(
            ["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        volumes = subprocess.run(["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True).stdout
        assert not left, "`down --volumes` leaves containers behind"
        assert PROJECT not in volumes, "`down --volumes` leaves volumes behind"
