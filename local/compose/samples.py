"""Sample files for every client of the stack, delivered and compared byte by byte.

    docker compose run --rm samples [CLIENT …]

Drops files into the pick-ups, triggers the clients' DAGs as the UI's button does, waits for the runs, and shows what
each recipient has. Exit code 0 only if every file arrived and every run is green.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime

from client_delivery.config.loader import load_directory
from client_delivery.config.model import ClientConfig
from local.compose.places import CONFIGS, ComposeStandIns, airflow_api, airflow_password
from local.demo_clients import DemoClient
from local.outcome import compare, mails_sent, table
from local.sample_files import AWKWARD_NAMES, SampleFile

_PATIENCE = 900.0
_SMALL, _LARGE = 20, 96 * 1024**2
_OFFLOADED = {"gcs": 1, "sftp": 1, "s3": 1}
"""How many clients of each kind get a file so large that a container sends it."""


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", help="names of configurations; all of them unless said")
    arguments = parser.parse_args()
    stand_ins, airflow = ComposeStandIns(), airflow_api()
    folder = f"{datetime.now(UTC):%m%d-%H%M%S}/"
    clients = choose(arguments.clients, folder)
    airflow.wait_until(
        lambda: {client.config.name for client in clients} <= airflow.dags().keys(), "every client's DAG", seconds=120
    )
    mails = len(stand_ins.mailbox.messages())
    runs = {}
    for client in clients:
        client.drop(stand_ins, client.files)
        runs[client.config.name] = airflow.trigger(client.config.name)
        say(f"{client.config.name}: {len(client.files)} files dropped, run {runs[client.config.name]}")
    states = {name: airflow.finished_run(name, run, _PATIENCE) for name, run in runs.items()}
    rows = [row for client in clients for row in compare(stand_ins, client) if row.file.startswith(folder)]
    print(table(rows))
    print(mails_sent(stand_ins, since=mails))
    for name, state in states.items():
        say(f"{name}: run {runs[name]} is {state}")
    wrong = sum(not row.right for row in rows)
    say(f"{len(rows) - wrong} of {len(rows)} files are at their destinations, checksums equal")
    say(f"Airflow's user is admin, password {airflow_password()}")
    return 0 if rows and not wrong and set(states.values()) == {"success"} else 1


def choose(names: list[str], folder: str) -> list[DemoClient]:
    """The clients that are wanted, with their files: new content and new names at every call."""
    configs = {loaded.dag_id: loaded.config for loaded in load_directory(CONFIGS) if loaded.config is not None}
    if unknown := set(names) - configs.keys():
        sys.exit(f"No such client: {', '.join(sorted(unknown))}. There are: {', '.join(sorted(configs))}")
    left = dict(_OFFLOADED)
    clients = []
    for name in names or sorted(configs):
        config = configs[name]
        large = left[config.destination.type] > 0
        left[config.destination.type] -= large
        clients.append(DemoClient(config, files_for(config, folder, large=large)))
    return clients


def files_for(config: ClientConfig, folder: str, *, large: bool) -> list[SampleFile]:
    """A few small ones, the awkward names, and perhaps a large one."""
    seed = f"{config.name} {time.time_ns()}"
    names = [f"claims/{number:03d}.csv" for number in range(_SMALL)] + list(AWKWARD_NAMES)
    files = [SampleFile(folder + name, 1000 + len(name), hash((seed, name))) for name in names]
    if large:
        files.append(SampleFile(f"{folder}monthly.parquet", _LARGE, hash(seed)))
    return files


def say(text: str) -> None:
    """Progress."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
