"""Whole DAG runs through a real scheduler, for all three destinations."""

from __future__ import annotations

import json

import httpx
import pytest
import yaml

from client_delivery.ledger.entry import Status
from client_delivery.ledger.table import Ledger
from client_delivery.run.questions import SAY_PLAN, TEST_DESTINATION
from local.demo_clients import DemoClient, recipient_files
from local.sample_files import SampleFile
from local.stand_ins import LEDGER_TABLE
from local.wait import wait_until
from tests.system.conftest import System

FILES = [SampleFile("empty.csv", 0, 0), SampleFile("a b#c?.csv", 5_000, 1), SampleFile("big.bin", 12_000_000, 2)]


def deliver(system: System, name: str, files: list[SampleFile], **params: object) -> tuple[str, str]:
    """Drop, trigger, wait; returns the run's id and state."""
    system.clients[name].drop(system.stack, files)
    run_id = system.airflow.trigger(name, **params)
    return run_id, system.airflow.finished_run(name, run_id)


def received(system: System, client: DemoClient) -> dict[str, bytes]:
    return {name: content for name, (content, _) in recipient_files(system.stack, client.config).items()}


def ledger(system: System, name: str) -> Ledger:
    return Ledger(system.stack.client("dynamodb"), LEDGER_TABLE, system.clients[name].config.delivery_key)


def events(system: System, name: str, run_id: str, task_id: str, map_index: int = -1) -> list[dict[str, object]]:
    """The structured lines of a task's log, as the UI shows it."""
    log = system.airflow.task_log(name, run_id, task_id, map_index=map_index)
    return [json.loads(line) for line in log.splitlines() if line.startswith('{"event":')]


def loggers(system: System, name: str, run_id: str) -> set[str]:
    """The field ``logger`` of each line of a run's task logs, as Airflow stores them."""
    logs = (system.airflow.directory / "logs" / f"dag_id={name}" / f"run_id={run_id}").rglob("*.log")
    return {str(json.loads(line).get("logger")) for path in logs for line in path.read_text().splitlines()}


@pytest.mark.parametrize("name", ["aurora_health", "cedar_care", "harbor_benefits", "pinnacle_plan"])
def test_r1_a_triggered_run_delivers_to(system, name):
    run_id, state = deliver(system, name, FILES)
    assert state == "success"
    there, dropped = received(system, system.clients[name]), {file.name: file.content() for file in FILES}
    assert {name: content for name, content in there.items() if name in dropped} == dropped, "others are other tests'"
    tasks = {task["task_id"]: task for task in system.airflow.tasks(name, run_id)}
    asked_for = {TEST_DESTINATION, SAY_PLAN}
    assert {task["state"] for name, task in tasks.items() if name not in asked_for} == {"success"}
    assert {tasks[name]["state"] for name in asked_for} == {"skipped"}, "nobody asked"
    assert tasks["transfer_batch"]["rendered_map_index"] == "batch 1 of 1: 3 files, 11.4 MiB"
    assert "client_delivery.event.file_delivered" in loggers(system, name, run_id), "what the alarms' filters go by"
    lines = events(system, name, run_id, "transfer_batch", 0)
    done = {str(line["file"]) for line in lines if line["event"] == "file_delivered"}
    assert done == {file.name for file in FILES}


def test_r6_1_a_big_file_goes_by_a_container_that_the_triggerer_waits_for(system):
    name = "cedar_care"
    # The name is too long for Airflow's column of labels, which PostgreSQL holds people to.
    long_name = f"archive/{'long-name-' * 23}monthly.bin"
    big, small = SampleFile(long_name, 24 * 1024**2, 11), SampleFile("daily.csv", 100, 12)
    # Fargate takes longer than a process here. A container that ends before Airflow has noticed that its task is
    # deferred makes Airflow try the task again, and forget the first try's log (it finds everything delivered).
    slow = {"call": r"s3\.GetObject", "path": big.name, "delay": 10, "times": 1}
    httpx.post(f"{system.stack.aws_url}/_local/faults", json=[slow], timeout=10).raise_for_status()
    run_id, state = deliver(system, name, [big, small])
    assert state == "success"
    found = received(system, system.clients[name])
    assert {file.name: found[file.name] for file in (big, small)} == {
        file.name: file.content() for file in (big, small)
    }
    mapped = [task for task in system.airflow.tasks(name, run_id) if task["task_id"] == "transfer_batch"]
    labels = {task["rendered_map_index"] for task in mapped}
    assert labels == {
        "batch 1 of 2: 1 file, 100 bytes",
        f"batch 2 of 2: container for …{long_name[-211:]}, 24.0 MiB",
    }
    (container,) = [task for task in mapped if "container" in task["rendered_map_index"]]
    log = system.airflow.task_log(name, run_id, "transfer_batch", map_index=container["map_index"])
    assert '"event": "file_delivered"' in log, "the container's lines are in the task's log"
    assert '"event": "container_ended"' in log


def test_r4_1_the_scheduler_starts_runs_and_r4_3_the_done_file_lets_them_go(system):
    client = system.clients["summit_mutual"]
    client.drop(system.stack, FILES)
    wait_until(lambda: len(received(system, client)) == len(FILES), "the scheduler delivers", seconds=180)
    assert client.config.done_file_key not in client.waiting(system.stack)
    wait_until(lambda: not ledger(system, "summit_mutual").open_entries(), "the run is closed", seconds=120)
    subjects = [mail.subject for mail in system.stack.mailbox.messages() if "[H1002]" in mail.subject]
    assert subjects == ["[H1002] Job started: 3 files", "[H1002] Job finished: 3 delivered"]


def test_r4_4_an_idle_run_is_one_task_instance_and_the_rest_skipped(system):
    run_id = system.airflow.trigger("meadow_dental")
    assert system.airflow.finished_run("meadow_dental", run_id) == "success"
    states: dict[str, set[str]] = {}
    for task in system.airflow.tasks("meadow_dental", run_id):
        states.setdefault(task["state"], set()).add(task["task_id"])
    assert states["success"] == {"register_files"}
    assert set(states) == {"success", "skipped"}


@pytest.mark.parametrize("cleared", ["transfer", "failed"])
def test_r5_4_r8_3_a_failed_run_is_red_and_clearing_it_sends_what_failed(system, cleared):
    """The whole way of a broken destination: three attempts, red with the reason, mended, cleared, green."""
    name = "pinnacle_plan"
    bucket = system.clients[name].config.destination.bucket
    s3 = system.stack.client("s3")
    file = SampleFile(f"late {cleared}.csv", 100, len(cleared))
    moved = {**_destination(system, name), "bucket": "no-such-bucket"}
    system.rewrite(name, destination=moved)
    run_id, state = deliver(system, name, [file])
    assert state == "failed"
    (entry,) = ledger(system, name).held_entries()
    assert (entry.status, entry.send_attempts, entry.active) == (Status.FAIL, 3, False)
    assert "no bucket 'no-such-bucket'" in str(entry.last_error)
    assert file.name in system.airflow.task_log(name, run_id, "report")
    system.rewrite(name, destination={**moved, "bucket": bucket})
    if cleared == "transfer":
        system.airflow.clear(name, run_id, "transfer_batch")
    else:
        system.airflow.clear_run(name, run_id, only_failed=True)
    assert system.airflow.finished_run(name, run_id) == "success"
    assert s3.get_object(Bucket=bucket, Key=f"pinnacle_plan/{file.name}")["Body"].read() == file.content()
    assert ledger(system, name).held_entries() == []
    assert ledger(system, name).open_entries() == []


def test_r8_2_a_run_without_e_mails_and_one_that_only_reports_are_wound_up(system):
    """Airflow skips the wind-up after any task that is skipped: so the e-mails and the transfers may not be."""
    name = "pinnacle_plan"
    system.rewrite(name, send_notifications=False)
    run_id, state = deliver(system, name, [SampleFile("quiet.csv", 100, 3)])
    assert (state, report_of(system, name, run_id)) == ("success", "success")
    assert ledger(system, name).open_entries() == []
    system.rewrite(name, send_notifications=True)
    run_id, state = deliver(system, name, [SampleFile("quiet copy.csv", 100, 3)])
    assert (state, report_of(system, name, run_id)) == ("success", "success")
    assert ledger(system, name).open_entries() == []
    assert any("quiet copy.csv" in mail.text for mail in system.stack.mailbox.messages())


def report_of(system: System, name: str, run_id: str) -> str:
    (state,) = (task["state"] for task in system.airflow.tasks(name, run_id) if task["task_id"] == "report")
    return str(state)


def _destination(system: System, name: str) -> dict[str, object]:
    content = yaml.safe_load((system.configs / f"{name}.yaml").read_text())
    destination: dict[str, object] = content["destination"]
    return destination


def test_r2_6_a_broken_file_turns_red_under_its_own_id_and_mending_it_brings_the_client_back(system):
    path = system.configs / "harbor_benefits.yaml"
    good = path.read_text()
    path.write_text(good.replace("contacts:", "contact:"))

    def tags() -> set[str]:
        return {tag["name"] for tag in system.airflow.dags()["harbor_benefits"]["tags"]}

    wait_until(lambda: "config-error" in tags(), "the DAG shows the error", seconds=60)
    assert len(system.airflow.dags()) == len(system.clients)
    run_id = system.airflow.trigger("harbor_benefits")
    assert system.airflow.finished_run("harbor_benefits", run_id) == "failed"
    log = system.airflow.task_log("harbor_benefits", run_id, "configuration_error")
    assert "harbor_benefits.yaml" in log
    assert "contacts" in log
    path.write_text(good)
    wait_until(lambda: "config-error" not in tags(), "the DAG is back", seconds=60)


def test_r9_1_wait_minutes_defers_to_the_triggerer_until_files_come(system):
    name = "aurora_health_eligibility"
    run_id = system.airflow.trigger(name, wait_minutes=5)

    def deferred() -> bool:
        return any(task["state"] == "deferred" for task in system.airflow.tasks(name, run_id))

    wait_until(deferred, "the sensor waits in the triggerer", seconds=60)
    system.clients[name].drop(system.stack, FILES[:2])
    assert system.airflow.finished_run(name, run_id) == "success"
    assert set(received(system, system.clients[name])) == {"empty.csv", "a b#c?.csv"}


def test_r2_5_no_secret_is_in_any_log_xcom_or_mail(system):
    secrets = [
        str(system.stack.sftp_password.password),
        *[line for line in str(system.stack.sftp.private_key).splitlines() if len(line) > 40],
        *[line for line in json.loads(system.stack.gcs_key)["private_key"].splitlines() if len(line) > 40],
    ]
    logs = [path for path in system.airflow.directory.rglob("*.log") if path.is_file()]
    assert len(logs) > 20
    texts = {str(path): path.read_text(errors="replace") for path in logs}
    texts |= {mail.subject: mail.text + mail.html for mail in system.stack.mailbox.messages()}
    texts["database"] = system.database.rows()
    assert len(texts["database"]) > 100_000
    found = {where for where, text in texts.items() for secret in secrets if secret in text}
    assert found == set()
