"""200 clients due at the same minute, through a real scheduler: each gets its own files, once (R4.1)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.many_clients import h_number_of, name_of, write_configurations
from benchmarks.transfer.meter import peak
from local.airflow import Airflow
from local.postgres import Postgres
from local.stack import Stack
from local.stand_ins import PICKUP_BUCKET, S3_BUCKET
from tests.load.measured import MIB, note

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

CLIENTS = 200
FILES = ("claims.csv", "members/list.csv")


def write(directory: Path, *, paused: bool) -> None:
    """Due once a year, minutes ago: as soon as it is not paused any more, Airflow makes up for that one run."""
    due = datetime.now(UTC) - timedelta(minutes=5)
    schedule = f"{due.minute} {due.hour} {due.day} {due.month} *"
    write_configurations(directory, CLIENTS, schedule=schedule, paused=paused, send_notifications=True)


def content(client: str, file: str) -> bytes:
    return f"{client} {file}".encode()


def drop(stack: Stack) -> None:
    s3 = stack.client("s3")
    for client in map(name_of, range(CLIENTS)):
        for file in FILES:
            s3.put_object(Bucket=PICKUP_BUCKET, Key=f"{client}/{file}", Body=content(client, file))


def test_two_hundred_clients_due_at_once(tmp_path):
    with Stack(tmp_path / "stack") as stack:
        configs = tmp_path / "client_configs"
        write(configs, paused=True)
        environment = stack.environment() | {"AIRFLOW__DELIVERY__CONFIGS_DIRECTORY": str(configs)}
        with Postgres() as database, Airflow(tmp_path / "airflow", environment, database=database.url) as airflow:
            airflow.wait_until(lambda: len(airflow.dags()) == CLIENTS, "every client has its DAG", seconds=300)
            drop(stack)
            httpx.delete(f"{stack.aws_url}/_local/requests", timeout=60)
            write(configs, paused=False)
            due = datetime.now(UTC)

            def finished() -> list[dict[str, Any]]:
                runs = airflow.all("/dags/~/dagRuns", "dag_runs")
                over = len(runs) >= CLIENTS and all(run["state"] in ("success", "failed") for run in runs)
                return runs if over else []

            runs = airflow.wait_until(finished, "every client's run is over", seconds=3600)
            memory = {part: peak(airflow.pid(part)) // MIB for part in ("api-server", "scheduler", "dag-processor")}
        counts = Counter(httpx.get(f"{stack.aws_url}/_local/requests", timeout=60).json())
        assert Counter(run["dag_id"] for run in runs) == Counter(map(name_of, range(CLIENTS)))
        assert {run["state"] for run in runs} == {"success"}
        s3 = stack.client("s3")
        for client in map(name_of, range(CLIENTS)):
            listed = s3.list_objects_v2(Bucket=S3_BUCKET, Prefix=f"{client}/").get("Contents", ())
            found = {item["Key"]: s3.get_object(Bucket=S3_BUCKET, Key=item["Key"])["Body"].read() for item in listed}
            assert found == {f"{client}/{file}": content(client, file) for file in FILES}
        subjects = Counter(mail.subject for mail in stack.mailbox.messages())
        expected = {
            f"[{h_number_of(number)}] Job {kind}": 1
            for number in range(CLIENTS)
            for kind in (f"started: {len(FILES)} files", f"finished: {len(FILES)} delivered")
        }
        assert subjects == expected
        first = min(run["end_date"] for run in runs)
        last = max(run["end_date"] for run in runs)
        writes = {call: count for call, count in sorted(counts.items()) if call.startswith(("dynamodb.", "ses."))}
        note(
            f"{CLIENTS} clients due at once, {len(FILES)} files each: first run over after {_since(first, due):.0f} s, "
            f"last after {_since(last, due):.0f} s; peak memory in MiB {memory}; {writes}"
        )


def _since(end: str, due: datetime) -> float:
    return (datetime.fromisoformat(end) - due).total_seconds()
