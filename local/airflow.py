"""A real Airflow on this machine: scheduler, DAG processor, API server and triggerer, on SQLite or PostgreSQL.

The demo and the system tests run the product in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from local.airflow_api import AirflowApi
from local.ports import free_port
from local.process import dying_with_parent

ROOT = Path(__file__).resolve().parent.parent
_COMPONENTS = {
    "api-server": [],
    # They would serve their logs on all addresses, at fixed ports; here the API server reads the files.
    "scheduler": ["--skip-serve-logs"],
    "dag-processor": [],
    "triggerer": ["--skip-serve-logs"],
}


class Airflow(AirflowApi):
    """Airflow's four components in their own processes, under ``directory``.

    With a ``password`` the user ``admin`` must sign in; without one everybody is admin. ``database`` is the URL of the
    metadata database; without one it is an SQLite file.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        *,
        port: int | None = None,
        password: str | None = None,
        database: str | None = None,
        dags: Path = ROOT / "dags",
        plugins: Path = ROOT / "plugins",
        patience: float = 180,
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        super().__init__(f"http://127.0.0.1:{self.port}", "admin" if password else "", password or "")
        self.password = password
        self._patience = patience
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # Airflow 3.2.1 says this of its own reading of plugins/.airflowignore, at the top of every task's log.
            "PYTHONWARNINGS": "ignore:GitWildMatchPattern:DeprecationWarning",
            "PYTHONPATH": os.pathsep.join([str(plugins), str(ROOT)]),
            "AIRFLOW_HOME": str(directory),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(password is None),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(directory / "passwords.json"),
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "2",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database or f"sqlite:///{directory}/airflow.db?timeout=60",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(directory / "logs"),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **environment,
        }

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.password:
            (self.directory / "passwords.json").write_text(json.dumps({"admin": self.password}))
        self.run("db", "migrate")
        for component in _COMPONENTS:
            self.start(component)
        self.wait_until(self.healthy, "Airflow's components are healthy", seconds=self._patience)
        return self

    def __exit__(self, *exc: object) -> None:
        for process in self._processes.values():  # all at once; then each is waited for
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for name in reversed(list(self._processes)):
            self.stop(name)

    def run(self, *command: str) -> str:
        """Run one ``airflow`` command to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def start(self, component: str) -> None:
        """Start one component; its output goes to a file of its name."""
        log = (self.directory / f"{component}.log").open("ab")
        self._processes[component] = subprocess.Popen(
            dying_with_parent([sys.executable, "-m", "airflow", component, *_COMPONENTS[component]]),
            env=self._environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pid(self, component: str) -> int:
        """The component's process id."""
        return self._processes[component].pid

    def stop(self, component: str, *, kill: bool = False) -> None:
        """End one component and all its children; ``kill`` gives them no chance to clean up."""
        process = self._processes.pop(component)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def check_alive(self) -> None:
        """Raise RuntimeError with the log of a component that has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                tail = (self.directory / f"{name}.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"Airflow's {name} ended with {process.returncode}:\n{tail}")
