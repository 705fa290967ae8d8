"""Measures one process: seconds, CPU seconds and the most memory it held."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from local.process import PYTHON_PATH

_RESULT = "measured "


@dataclass(frozen=True)
class Measured:
    """What one contender needed for one case."""

    seconds: float
    cpu: float
    """Seconds, user and system, with those of its threads and children."""
    rss: int
    """Peak, bytes."""


@contextmanager
def measuring() -> Iterator[None]:
    """Around the work of a contender written in Python: its imports do not count as time, only as memory."""
    began, used = time.monotonic(), _used()
    yield
    seconds, cpu = time.monotonic() - began, _used() - used
    print(_RESULT + json.dumps(asdict(Measured(seconds, cpu, peak("self")))), flush=True)


def peak(pid: int | str) -> int:
    """The most resident memory that a process ever held, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def run_module(module: str, order: Mapping[str, object], environment: Mapping[str, str]) -> Measured:
    """Run a contender written in Python, which measures itself."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(order),
        env={**os.environ, "PYTHONPATH": PYTHON_PATH, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        if line.startswith(_RESULT) and not done.returncode:
            return Measured(**json.loads(line[len(_RESULT) :]))
    raise RuntimeError(f"{module} did not finish:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")


def run_program(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run another program, from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    process = subprocess.Popen(
        list(command), env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    most = [0]

    def watch() -> None:
        while process.poll() is None:
            for pid in _family(process.pid):
                try:
                    most[0] = max(most[0], peak(pid))
                except OSError:
                    continue
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.monotonic() - began
    watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{output[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(seconds, cpu, most[0])


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(int(child) for child in children)]


def _used() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
