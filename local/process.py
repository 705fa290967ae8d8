"""Starting a stand-in as a process of its own, waiting until it is ready, and never leaving it behind."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON_PATH = f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"
"""What a Python process of this project finds its modules by."""
_READY = "ready "
_MEASURED = "COVERAGE_PROCESS_CONFIG"
"""Set by coverage.py for the processes that a measured one starts."""
_PR_SET_PDEATHSIG = 1
_EXEC_THAT_DIES_WITH_PARENT = (
    "import os, sys; from local.process import die_with_parent, limit_files; die_with_parent(); "
    "limit_files(int(sys.argv[1]) or None); os.execvp(sys.argv[2], sys.argv[2:])"
)


def announce_ready(**facts: Any) -> None:
    """Called by a stand-in that listens now: tells its parent where, and will end with it."""
    die_with_parent()
    print(_READY + json.dumps(facts), flush=True)


def die_with_parent() -> None:
    """Make the kernel end this process when its parent ends, however it ends (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def limit_files(largest: int | None) -> None:
    """No file of this process, or of its children, gets larger than so many bytes: a write beyond fails, as on a full
    disk (EFBIG, for a signal that Python ignores, and so what it starts does)."""
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))


def find_program(name: str) -> str | None:
    """Where a server's program is, or None: services are often outside of a user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")


class Service:
    """One stand-in, run as ``python -m <module>``; its facts are what it announced."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        log: Path,
        environment: Mapping[str, str] | None = None,
        seconds: float = 180,
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        # What is measured is the core, of which an emulator has nothing; and its start would take ten times as long.
        inherited = {name: value for name, value in os.environ.items() if name != _MEASURED}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**inherited, "PYTHONPATH": PYTHON_PATH, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            text=True,
        )
        self.facts = self._await_ready(module, seconds)

    def stop(self) -> None:
        """End the process and wait for it."""
        stop(self.process)

    def _await_ready(self, module: str, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        output = self.process.stdout
        while output is not None and (left := deadline - time.monotonic()) > 0:
            if not select.select([output], [], [], left)[0]:
                break
            line = output.readline()
            if line.startswith(_READY):
                facts: dict[str, Any] = json.loads(line[len(_READY) :])
                return facts
            if not line:
                break
        self.stop()
        raise RuntimeError(f"{module} did not become ready; its log:\n{self._log.read_text(errors='replace')[-3000:]}")


def stop(process: subprocess.Popen[Any], patience: float = 10) -> None:
    """End a child process, by force if it does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def start(
    command: Sequence[str], *, log: Path, largest_file: int | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a program that is not one of our modules; it dies with this process.

    :param largest_file: see :func:`limit_files`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        dying_with_parent(command, largest_file=largest_file),
        stdout=log.open("ab"),
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        **options,
    )


def dying_with_parent(command: Sequence[str], *, largest_file: int | None = None) -> list[str]:
    """The command, made to end with the process that starts it, however that ends (Linux; elsewhere unchanged).

    It is to be started with this project's modules on Python's path, or in its directory.
    """
    return [sys.executable, "-c", _EXEC_THAT_DIES_WITH_PARENT, str(largest_file or 0), *command]
