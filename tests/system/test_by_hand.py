"""What people do by hand to runs, beside the trigger form: through a real scheduler, on PostgreSQL."""

from __future__ import annotations

import time

import httpx
import pytest

from client_delivery.ledger.entry import Status
from local.sample_files import SampleFile
from local.wait import wait_until
from tests.system.conftest import System
from tests.system.test_scheduler import ledger, received

# Four runs through a scheduler; on a busy machine each takes a minute or two.
pytestmark = pytest.mark.timeout(900)
WOUND_UP = ("notify_finished", "report")


def delay(system: System, file: SampleFile, seconds: int) -> None:
    """The file's first read takes so long."""
    slow = {"call": r"s3\.GetObject", "path": file.name, "delay": seconds, "times": 1}
    httpx.post(f"{system.stack.aws_url}/_local/faults", json=[slow], timeout=10).raise_for_status()


def states(system: System, name: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in system.airflow.tasks(name, run_id)}


def begun(system: System, name: str, file: SampleFile) -> bool:
    """Whether an attempt at the file is under way."""
    entries = ledger(system, name).open_entries()
    return any(entry.file_name == file.name and entry.fencing_token for entry in entries)


def stays_failed(system: System, name: str, run_id: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert system.airflow.dag_run(name, run_id)["state"] == "failed"
        time.sleep(1)


@pytest.mark.parametrize("way", ["worker", pytest.param("container", marks=pytest.mark.slow)])
def test_r8_3_a_run_that_is_marked_as_failed_stays_so_and_the_next_one_sends_each_file_once(system, way):
    """Airflow 3.2.1 (``set_dag_run_state_to_failed``): what runs or is deferred fails, what has not begun is skipped,
    and the run is failed at once. The task's process is told to stop; a container goes on and is nobody's any more.
    """
    name, size = {"worker": ("aurora_health", 12_000_000), "container": ("cedar_care", 24 * 1024**2)}[way]
    client, file = system.clients[name], SampleFile(f"marked {way}.bin", size, 21)
    delay(system, file, 20)
    client.drop(system.stack, [file])
    run_id = system.airflow.trigger(name)
    expected = {"worker": "running", "container": "deferred"}[way]
    wait_until(
        lambda: begun(system, name, file) and states(system, name, run_id).get("transfer_batch") == expected,
        "the file is under way",
        seconds=180,
        interval=0.5,
    )
    system.airflow.mark_failed(name, run_id)
    # As long as it takes the process to be stopped, or the container to deliver.
    stays_failed(system, name, run_id, 30)
    after = states(system, name, run_id)
    assert after["transfer_batch"] == "failed"
    assert {after[task] for task in WOUND_UP} == {"skipped"}
    (entry,) = [entry for entry in ledger(system, name).open_entries() if entry.file_name == file.name]
    assert entry.active, "the next run finds what this one left"
    assert entry.status in {"worker": {Status.PROCESSING}, "container": {Status.PROCESSING, Status.SUCCESS}}[way]
    next_run = system.airflow.trigger(name)
    assert system.airflow.finished_run(name, next_run) == "success"
    assert received(system, client)[file.name] == file.content()
    assert ledger(system, name).open_entries() == []
    assert ledger(system, name).find([entry.identity])[entry.identity].status is Status.SUCCESS
    finishes = [mail for mail in system.stack.mailbox.messages() if "Job finished" in mail.subject]
    assert len([mail for mail in finishes if file.name in mail.text]) == 1, "told once, by the run that ended it"
    assert system.airflow.dag_run(name, run_id)["state"] == "failed", "and red it stays"


def test_r4_1_a_backfill_is_refused(system):
    """It would start runs side by side, beside ``max_active_runs``. Of the UI, which asks the API, and of the CLI."""
    name = "summit_mutual"
    span = {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-01T00:10:00Z"}
    with pytest.raises(RuntimeError, match="backfill") as refused:
        system.airflow.api("POST", "/backfills", json={"dag_id": name, **span})
    assert ": 4" in str(refused.value) or ": 5" in str(refused.value)
    with pytest.raises(RuntimeError, match="airflow backfill create"):
        system.airflow.run(
            "backfill", "create", "--dag-id", name, "--from-date", span["from_date"], "--to-date", span["to_date"]
        )
    kinds = {run["run_type"] for run in system.airflow.all(f"/dags/{name}/dagRuns", "dag_runs")}
    assert "backfill" not in kinds
    assert system.airflow.api("GET", "/backfills", params={"dag_id": name})["backfills"] == []


def test_r4_1_a_run_on_the_command_line_delivers_like_any_other(system):
    """``airflow dags test`` runs tasks itself; a scheduler that is there takes tasks of the same run as well."""
    name = "harbor_benefits"
    client, file = system.clients[name], SampleFile("by hand.csv", 1_000, 31)
    client.drop(system.stack, [file])
    system.airflow.run("dags", "test", name)
    assert received(system, client)[file.name] == file.content()
    assert ledger(system, name).open_entries() == []
    finishes = [mail for mail in system.stack.mailbox.messages() if "Job finished" in mail.subject]
    assert len([mail for mail in finishes if file.name in mail.text]) == 1, "whoever ran which task"
