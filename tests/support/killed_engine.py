"""Runs the engine in a process of its own (:mod:`tests.support.engine_process`), and kills it where that is wanted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from local.process import PYTHON_PATH, ROOT


def run(
    order: Mapping[str, Any], *, kill_at: int | None = None, environment: Mapping[str, str] = os.environ
) -> dict[str, Any] | None:
    """What it says of the delivery; None if it was killed or failed.

    :param kill_at: kill the process when so many per cent are acknowledged.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.engine_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": PYTHON_PATH},
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    result = None
    for line in process.stdout:
        word, _, rest = line.partition(" ")
        if word == "acknowledged" and kill_at is not None and int(rest) >= kill_at:
            process.kill()
        if word == "delivered":
            result = json.loads(rest)
    process.wait()
    return result
