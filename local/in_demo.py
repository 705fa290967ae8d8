"""A command of the product against the running demo: python -m local.in_demo client_delivery.probe.… [argument …]."""

from __future__ import annotations

import os
import runpy
import sys

from local.demo_addresses import WORK, RunningDemo


def main() -> int:
    """Returns the exit code, if the command does not end the process itself."""
    try:
        demo = RunningDemo()
    except RuntimeError as none:
        print(none, file=sys.stderr)
        return 2
    os.environ.update(demo.environment())
    os.environ["AIRFLOW__DELIVERY__CONFIGS_DIRECTORY"] = str(WORK / "client_configs")
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
