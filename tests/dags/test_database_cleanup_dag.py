"""Airflow's own database stays small: the DAG is there on MWAA only, and its commands are those that AWS publishes."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from airflow.sdk.exceptions import AirflowException
from structlog.testing import capture_logs

from client_delivery.building.upkeep import CLEANUP_DAG, build_cleanup_dag
from client_delivery.dag import deliveries
from client_delivery.operators.database_cleanup import TABLES, DatabaseCleanupOperator, slices

ROOT = Path(__file__).resolve().parents[2]


class Mwaa:
    """MWAA's CLI endpoint: answers each command with what is said next, the last time and again."""

    def __init__(self, monkeypatch, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)
        self.commands: list[str] = []
        self.tokens = 0
        monkeypatch.setattr("boto3.client", lambda service: self)
        monkeypatch.setattr("requests.post", self.post)

    def create_cli_token(self, *, Name: str) -> dict[str, str]:
        assert Name == "client-delivery-example"
        self.tokens += 1
        return {"CliToken": f"token-{self.tokens}", "WebServerHostname": "web.example.org"}

    def post(self, url, *, headers, data, timeout):
        assert url == "https://web.example.org/aws_mwaa/cli"
        assert headers["Authorization"] == f"Bearer token-{self.tokens}"
        self.commands.append(data)
        status, out, err = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status == 0:
            raise requests.ReadTimeout(f"the request of {headers}")
        printed = {"stdout": base64.b64encode(out.encode()).decode(), "stderr": base64.b64encode(err.encode()).decode()}
        return SimpleNamespace(status_code=status, text=out, json=lambda: json.loads(json.dumps(printed)))


def clean() -> int:
    operator = DatabaseCleanupOperator(task_id="clean", environment="client-delivery-example", keep_days=30)
    execute = DatabaseCleanupOperator.execute
    return getattr(execute, "__wrapped__", execute)(operator, {})


def test_it_is_there_on_mwaa_only(monkeypatch):
    here = {dag.dag_id for dag in deliveries(ROOT / "dags")}
    assert CLEANUP_DAG not in here
    monkeypatch.setenv("AIRFLOW__DELIVERY__MWAA_ENVIRONMENT", "client-delivery-example")
    assert {dag.dag_id for dag in deliveries(ROOT / "dags")} == here | {CLEANUP_DAG}


def test_its_task_builds_no_other_dag(monkeypatch):
    monkeypatch.setenv("AIRFLOW__DELIVERY__MWAA_ENVIRONMENT", "client-delivery-example")
    monkeypatch.setattr(
        "client_delivery.dag.get_parsing_context",
        lambda: SimpleNamespace(dag_id=CLEANUP_DAG, task_id="clean"),
    )
    assert [dag.dag_id for dag in deliveries(ROOT / "dags")] == [CLEANUP_DAG]
    monkeypatch.setattr(
        "client_delivery.dag.get_parsing_context",
        lambda: SimpleNamespace(dag_id="pinnacle_plan", task_id="report"),
    )
    assert [dag.dag_id for dag in deliveries(ROOT / "dags")] == ["pinnacle_plan"]


def test_it_runs_weekly_before_mwaas_maintenance_and_names_itself_when_it_is_red():
    dag = build_cleanup_dag("client-delivery-example", keep_days=30)
    assert (dag.schedule, dag.catchup, dag.max_active_runs) == ("30 1 * * 6", False, 1)
    task = dag.get_task("clean")
    with capture_logs() as lines:
        task.on_failure_callback[0]({"task": task})
    assert (lines[0]["alarm"], lines[0]["client"]) == ("task_red", CLEANUP_DAG)


def test_a_day_at_a_time_up_to_the_cutoff():
    cutoff = datetime(2026, 3, 31, tzinfo=UTC)
    ends = list(slices(cutoff))
    assert ends[0] == cutoff - timedelta(days=14)
    assert ends[-1] == cutoff
    assert {later - earlier for earlier, later in pairwise(ends)} == {timedelta(days=1)}


def test_the_commands_are_those_that_aws_publishes(monkeypatch):
    mwaa = Mwaa(monkeypatch, (200, "Finished Performing Delete", ""))
    assert clean() == 15
    assert mwaa.tokens == 15, "a token is good for a minute"
    words = mwaa.commands[-1].split()
    before = datetime.fromisoformat(words[words.index("--clean-before-timestamp") + 1])
    assert abs(datetime.now(UTC) - timedelta(days=30) - before) < timedelta(minutes=5)
    assert words[:2] == ["db", "clean"]
    assert words[words.index("--tables") + 1].split(",") == list(TABLES)
    assert {"--skip-archive", "--yes"} <= set(words), "nothing is asked, and no copies stay behind"
    assert "dag_version" not in TABLES, "runs that are kept name their version"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, "", "WARNING - Encountered error when attempting to clean table 'dag_run'. "), "dag_run"),
        ((200, "Traceback (most recent call last):\n  IntegrityError", ""), "Traceback"),
        ((504, "Gateway Time-out", ""), "responded 504 .*may still be running"),
        ((0, "", ""), "ReadTimeout; the next try repeats it"),
    ],
)
def test_trouble_is_red_although_the_command_only_warns_of_it(monkeypatch, answer, said):
    Mwaa(monkeypatch, (200, "Finished Performing Delete", ""), answer)
    with pytest.raises(AirflowException, match=said) as raised:
        clean()
    assert "token-" not in str(raised.value)
    assert raised.value.__cause__ is None
