"""What MWAA does with its bucket, and a world in which every configuration works.

    python -m local.compose.sync

Copies the checkout's ``dags`` and ``include`` to Airflow's DAGs folder whenever they change, as MWAA copies them from
S3. For each configuration that is right it makes what must exist on the other side: buckets, secret, directory. And
it points every SFTP delivery to the stand-in, under the account's name: nothing that runs on a laptop may ever reach a
client's real server. Configurations that are wrong are copied as they are, so that Airflow shows the error.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import httpx
import yaml

from client_delivery.config.loader import load_file
from client_delivery.config.model import ClientConfig
from client_delivery.config.problem import ConfigError
from local.compose.places import CHECKOUT, CONFIGS, DAGS, ComposeStandIns
from local.demo_clients import point_to, store_secret
from local.stand_ins import LEDGER_TABLE, StandIns

READY = Path("/tmp/synced")  # for the health check
_FOLDERS = {"dags": DAGS, "include": DAGS / "include"}
_IGNORED = {"__pycache__"}
_SECONDS = 1.0

Snapshot = dict[Path, tuple[int, int]]


def main() -> None:
    """Until ended."""
    stand_ins = ComposeStandIns()
    before: Snapshot = {}
    while True:
        if LEDGER_TABLE not in stand_ins.client("dynamodb").list_tables()["TableNames"]:
            # At the start, and after `aws` was restarted: it keeps everything in memory.
            stand_ins.prepare()
            before = {}
        now = snapshot(CHECKOUT)
        for path in sorted(before.keys() - now.keys()):
            say(f"removed: {path}")
            target_of(path).unlink(missing_ok=True)
        for path in sorted(path for path, mark in now.items() if before.get(path) != mark):
            copy(path, stand_ins)
        before = now
        READY.touch()
        time.sleep(_SECONDS)


def snapshot(checkout: Path) -> Snapshot:
    """All files, each with a mark that changes with its content."""
    found: Snapshot = {}
    for folder in _FOLDERS:
        for directory, folders, files in os.walk(checkout / folder):
            folders[:] = [name for name in folders if name not in _IGNORED]
            for name in files:
                path = Path(directory, name)
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # an editor's temporary file
                found[path.relative_to(checkout)] = (status.st_mtime_ns, status.st_size)
    return found


def target_of(path: Path) -> Path:
    """Where a file of the checkout goes."""
    return _FOLDERS[path.parts[0]].joinpath(*path.parts[1:])


def copy(path: Path, stand_ins: StandIns) -> None:
    """One file, whole or not at all."""
    source, target = CHECKOUT / path, target_of(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.half")
    try:
        shutil.copyfile(source, half)
        if target.parent == CONFIGS and path.suffix == ".yaml":
            settle_in(source, half, stand_ins)
        half.replace(target)
    except FileNotFoundError:
        return  # gone again
    say(f"copied: {path}")


def settle_in(source: Path, half: Path, stand_ins: StandIns) -> None:
    """Make what a configuration needs, and let it find it."""
    try:
        config = load_file(source)
    except ConfigError as error:
        say(f"{source.name} is wrong, its DAG says why: {error}")
        return
    make_buckets(config, stand_ins)
    if config.destination.type == "sftp":
        fields = yaml.safe_load(source.read_text())
        directory = f"{config.destination.username}/{config.destination.directory.strip('/')}"
        point_to(stand_ins.sftp, fields["destination"], directory)
        half.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True))
    store_secret(config, stand_ins, stand_ins.sftp)


def make_buckets(config: ClientConfig, stand_ins: StandIns) -> None:
    """The pick-up's, and the destination's."""
    stand_ins.client("s3").create_bucket(Bucket=config.pickup.bucket)
    if config.destination.type == "s3":
        stand_ins.client("s3").create_bucket(Bucket=config.destination.bucket)
    elif config.destination.type == "gcs":
        url = f"{stand_ins.gcs_url}/_local/buckets/{config.destination.bucket}"
        httpx.post(url, timeout=30).raise_for_status()


def say(text: str) -> None:
    """A line for `docker compose logs`."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
