"""Airflow's database stays small: the operator's commands, carried out by Airflow itself on PostgreSQL, as on MWAA."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.operators import database_cleanup
from client_delivery.operators.database_cleanup import DatabaseCleanupOperator

psycopg2 = pytest.importorskip(
    "psycopg2", reason="no PostgreSQL client: Airflow's commands are not tried on PostgreSQL"
)
postgres = pytest.importorskip("local.postgres", reason="no PostgreSQL server of the tests' own")

AIRFLOW = str(Path(sys.executable).parent / "airflow")
KEEP_DAYS = 30
DAYS = 60
TASKS = 9
"""Of a run; two of an idle one are executed, and the others, skipped, have no start date."""
_HISTORY = """
INSERT INTO dag_bundle (name) VALUES ('dags');
INSERT INTO dag (dag_id, is_paused, is_stale, bundle_name, timetable_type, max_active_tasks,
                 max_consecutive_failed_dag_runs, has_task_concurrency_limits)
SELECT 'client_' || n, false, false, 'dags', 'cron', 16, 0, false FROM generate_series(1, %(clients)s) n;
INSERT INTO dag_version (id, version_number, dag_id, created_at, last_updated)
SELECT gen_random_uuid(), 1, dag_id, now() - interval '90 days', now() FROM dag;
INSERT INTO dag_run (dag_id, run_id, run_type, run_after, start_date, state, clear_number, created_dag_version_id)
SELECT d.dag_id, 'scheduled__' || t, 'scheduled', t, t, 'success', 0, v.id
FROM dag d JOIN dag_version v USING (dag_id), generate_series(
    now() - make_interval(days => %(days)s) + interval '7 minutes', now(), interval '1 day' / %(daily)s) t;
INSERT INTO task_instance (id, task_id, dag_id, run_id, map_index, try_number, max_tries, pool, pool_slots,
                           start_date, state, dag_version_id)
SELECT gen_random_uuid(), 'task_' || n, dag_id, run_id, -1, 1, 3, 'default_pool', 1,
       CASE WHEN n <= 2 THEN start_date END, CASE WHEN n <= 2 THEN 'success' ELSE 'skipped' END, created_dag_version_id
FROM dag_run, generate_series(1, %(tasks)s) n;
INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, timestamp)
SELECT id, 'task_1', -1, 'return_value', dag_id, run_id, start_date FROM dag_run;
INSERT INTO log (event, dttm, dag_id) SELECT 'running', start_date, dag_id FROM dag_run;
INSERT INTO job (latest_heartbeat, dag_id) SELECT start_date, dag_id FROM dag_run;
"""
_STOPPED = """
DELETE FROM dag_run WHERE dag_id = 'client_1' AND start_date > now() - interval '45 days';
"""


@pytest.fixture
def database(tmp_path):
    with postgres.Postgres() as server:
        environment = {
            "PATH": os.environ["PATH"],
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.url,
        }
        subprocess.run([AIRFLOW, "db", "migrate"], env=environment, capture_output=True, check=True)
        connection = psycopg2.connect(server.url.replace("+psycopg2", ""))
        connection.autocommit = True
        yield environment, connection.cursor()
        connection.close()


@pytest.fixture
def mwaa(database, monkeypatch):
    """MWAA's CLI endpoint: it runs Airflow's command. Says how long each took."""
    seconds: list[float] = []

    def post(_url, *, data, **_):
        begun = time.monotonic()
        done = subprocess.run([AIRFLOW, *data.split()], env=database[0], capture_output=True, check=False)
        seconds.append(time.monotonic() - begun)
        printed = {"stdout": done.stdout, "stderr": done.stderr}
        return SimpleNamespace(
            status_code=400 if done.returncode else 200,
            text=done.stderr.decode(),
            json=lambda: {name: base64.b64encode(text).decode() for name, text in printed.items()},
        )

    monkeypatch.setattr("requests.post", post)
    token = SimpleNamespace(create_cli_token=lambda Name: {"CliToken": "t", "WebServerHostname": Name})
    monkeypatch.setattr("boto3.client", lambda _: token)
    return seconds


def clean() -> int:
    operator = DatabaseCleanupOperator(task_id="clean", environment="any", keep_days=KEEP_DAYS)
    execute = DatabaseCleanupOperator.execute
    return getattr(execute, "__wrapped__", execute)(operator, {})


def fill(cursor, *, clients: int, daily: int) -> None:
    cursor.execute(_HISTORY, {"clients": clients, "days": DAYS, "daily": daily, "tasks": TASKS})
    cursor.execute(_STOPPED)
    cursor.execute("ANALYZE")


def count(cursor, query: str) -> int:
    cursor.execute(query)
    return cursor.fetchone()[0]


def hold_the_promise(cursor, before: dict[str, Any]) -> None:
    """What is younger is all there; of what is older, the last run of a client that stopped, and nothing else."""
    cutoff = before["cutoff"]
    cursor.execute(f"SELECT dag_id FROM dag_run WHERE start_date < {cutoff}")
    assert cursor.fetchall() == [("client_1",)], "the last run of each DAG is kept however old it is"
    assert count(cursor, f"SELECT count(*) FROM dag_run WHERE start_date >= {cutoff}") == before["runs"]
    # Skipped tasks have no date, and go with their run; those of the kept old run that were executed go by theirs.
    assert count(cursor, "SELECT count(*) FROM task_instance") == before["runs"] * TASKS + TASKS - 2
    for table, column in (("log", "dttm"), ("job", "latest_heartbeat"), ("xcom", "timestamp")):
        assert count(cursor, f"SELECT count(*) FROM {table} WHERE {column} < {cutoff}") == 0, table
        assert count(cursor, f"SELECT count(*) FROM {table} WHERE dag_id <> 'client_1'") == before["runs"], table
    archives = "SELECT count(*) FROM pg_tables WHERE tablename LIKE '\\_airflow\\_deleted%'"
    assert count(cursor, archives) == 0, "no copies stay behind"
    assert count(cursor, "SELECT count(*) FROM dag_version") == before["versions"]


def what_must_stay(cursor) -> dict[str, Any]:
    """Counted from now: the command's own now is seconds later, and the next run lies minutes off."""
    cutoff = f"timestamptz '{(datetime.now(UTC) - timedelta(days=KEEP_DAYS)).isoformat()}'"
    return {
        "cutoff": cutoff,
        "runs": count(cursor, f"SELECT count(*) FROM dag_run WHERE start_date >= {cutoff}"),
        "versions": count(cursor, "SELECT count(*) FROM dag_version"),
    }


def test_what_is_old_goes_and_what_is_young_stays(database, mwaa, monkeypatch):
    _, cursor = database
    fill(cursor, clients=2, daily=4)
    before = what_must_stay(cursor)
    assert before["runs"] > 100
    cutoff = datetime.now(UTC) - timedelta(days=KEEP_DAYS)
    monkeypatch.setattr(
        database_cleanup, "slices", lambda _: iter([cutoff])
    )  # each command is seconds of Airflow's start
    assert clean() == 1
    hold_the_promise(cursor, before)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_two_million_task_instances_are_halved_by_commands_that_mwaa_lets_end(database, mwaa):
    _, cursor = database
    fill(cursor, clients=40, daily=96)
    before = what_must_stay(cursor)
    assert count(cursor, "SELECT count(*) FROM task_instance") > 2_000_000
    assert clean() == 15
    hold_the_promise(cursor, before)
    print("seconds:", [round(one) for one in mwaa])
    assert max(mwaa[1:]) < 300, "MWAA's commands may take five minutes"
