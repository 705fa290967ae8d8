"""How long the DAG file takes to parse: with 1, 100 and 1,000 configurations, and with one selected, as for a task.

Each measurement is a new interpreter; Airflow's own import, which a forked task does not pay, is timed apart.

    python -m benchmarks.dag_parsing
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
_PROBE = """
import json, runpy, sys, time
cpu = time.process_time
start = cpu()
import airflow.sdk
imported = cpu()
names = runpy.run_path(sys.argv[1])
print(json.dumps({
    "airflow": imported - start,
    "file": cpu() - imported,
    "dags": sum(isinstance(value, airflow.sdk.DAG) for name, value in names.items() if name != "dag"),
}))
"""


def write_configurations(directory: Path, count: int) -> None:
    """``count`` different clients, made from one of the examples."""
    example = (ROOT / "include" / "client_configs" / "aurora_health.yaml").read_text()
    for number in range(count):
        name = f"client_{number:04d}"
        text = re.sub(r"(?m)^name: .*$", f"name: {name}", example)
        text = re.sub(r"(?m)^client_h_number: .*$", f"client_h_number: H{10_000 + number}", text)
        text = re.sub(r"(?m)^(  prefix: ).*$", rf"\g<1>{name}/", text, count=1)
        (directory / f"{name}.yaml").write_text(text)


def measure(configs: Path, selected: str | None = None) -> tuple[float, float, int]:
    """Median CPU seconds of importing Airflow and of the DAG file itself, and how many DAGs came out."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "plugins"),
        "AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs),
        "AIRFLOW__DELIVERY__LEDGER_TABLE": "ledger",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    if selected:
        environment["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = selected
        environment["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = "register_files"
    found = []
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", _PROBE, str(ROOT / "dags" / "client_deliveries.py")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return (
        statistics.median(item["airflow"] for item in found),
        statistics.median(item["file"] for item in found),
        found[0]["dags"],
    )


def main() -> None:
    print(f"Median of {ROUNDS}, CPU seconds, new interpreter each time")
    print(f"{'configurations':>15} {'selected':>9} {'DAGs':>6} {'import airflow':>15} {'DAG file':>9}")
    for count in (1, 100, 1000):
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            write_configurations(directory, count)
            for selected in (None, "client_0000"):
                airflow, file, dags = measure(directory, selected)
                print(f"{count:>15} {'one' if selected else 'all':>9} {dags:>6} {airflow:>15.2f} {file:>9.2f}")


if __name__ == "__main__":
    main()
