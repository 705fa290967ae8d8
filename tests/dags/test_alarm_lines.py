"""What alarms hear of a run that ends before its report, and of a worker that lacks packages (R9.3)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from client_delivery.building.delivery import build_dag
from client_delivery.config.loader import load_file
from client_delivery.run.context import Run
from client_delivery.runtime import packages
from client_delivery.runtime.packages import PackagesMissingError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dag():
    return build_dag(load_file(ROOT / "include" / "client_configs" / "pinnacle_plan.yaml"))


@pytest.mark.parametrize("task_id", ["register_files", "transfer_batch", "notify_finished"])
def test_a_red_task_names_its_client_in_fields_that_cloudwatch_finds(dag, task_id, monkeypatch):
    """MWAA writes a structlog event as one JSON object (its public images: ``CloudWatchRemoteTaskLogger``)."""
    task = dag.get_task(task_id)
    if task_id == "transfer_batch":
        (callback,) = task.partial_kwargs["on_failure_callback"]
        task = dag.get_task("notify_started")  # a mapped task is made when it runs; any other stands for it here
    else:
        (callback,) = task.on_failure_callback
    noted = []
    monkeypatch.setattr(Run, "note_on_board", lambda run, note: noted.append(run.config.name))
    run = SimpleNamespace(dag_id=dag.dag_id, run_id="manual", clear_number=0)
    with capture_logs() as lines:
        callback({"task": task, "dag_run": run, "ti": SimpleNamespace(), "params": {}})
    (line,) = lines
    assert noted == [task.config.name]
    assert (line["event"], line["alarm"], line["client"]) == ("alarm", "task_red", task.config.delivery_key)


def test_the_report_has_an_event_of_its_own(dag):
    task = dag.get_task("report")
    with capture_logs() as lines:
        task.on_failure_callback[0]({"task": task})
    assert lines == []


def test_a_worker_without_its_packages_says_which_and_touches_nothing(dag, monkeypatch, caplog):
    monkeypatch.setattr(packages, "REQUIRED", (*packages.REQUIRED, "never-heard-of"))
    execute = type(dag.get_task("register_files")).execute
    with pytest.raises(PackagesMissingError, match=r"never-heard-of.*requirements_install"):
        getattr(execute, "__wrapped__", execute)(dag.get_task("register_files"), {})
    assert '"packages_missing"' in caplog.text


def test_nothing_is_missing_here():
    assert packages.missing_packages() == []


def test_the_list_is_that_of_requirements_txt():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if line and not line.startswith("#")}
    assert set(packages.REQUIRED) == names - {"apache-airflow"}
