"""The whole system in containers, as a person with docker-compose gets it; `make test-compose`."""

from __future__ import annotations

import json
import time

import pytest

from local.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.compose, pytest.mark.timeout(1800)]
BIG = 96 * 1024**2
RATE = 2 * 1024**2

_DROP = """
from local.compose.places import ComposeStandIns
ComposeStandIns().client("s3").put_object(Bucket="example-pickup", Key={key!r}, Body=bytes({size}))
"""
_ENTRY = """
import json
from local.compose.places import ComposeStandIns
entry = ComposeStandIns().ledger_entries({client!r}).get({name!r})
print(json.dumps(None if entry is None else
    [entry.status.value, entry.send_attempts, entry.active, len((entry.resume or {{}}).get("runs", []))]))
"""
_RECIPIENT = """
import hashlib, json
from local.compose.places import CONFIGS, ComposeStandIns
from local.demo_clients import recipient_files
from client_delivery.config.loader import load_file
files = recipient_files(ComposeStandIns(), load_file(CONFIGS / "{client}.yaml"))
print(json.dumps({{name: len(content) for name, (content, _) in files.items()}}))
"""


def describe(airflow, dag_id: str) -> str:
    return str(airflow.api("GET", f"/dags/{dag_id}/details")["doc_md"])


def test_r9_2_samples_are_delivered_to_all_three_destinations_big_ones_by_containers(compose):
    shown = compose("run", "--rm", "-T", "samples", seconds=900)
    assert "files are at their destinations, checksums equal" in shown
    airflow = compose.airflow()
    logs = ""
    for name in ("aurora_health", "cedar_care", "meadow_dental"):
        (run,) = airflow.api("GET", f"/dags/{name}/dagRuns")["dag_runs"]
        for task in airflow.tasks(name, run["dag_run_id"]):
            if "container for" in str(task["rendered_map_index"]):
                logs += airflow.task_log(name, run["dag_run_id"], "transfer_batch", map_index=task["map_index"])
    assert logs.count('"event": "container_ended"') == 3, "one container for each kind of destination"
    assert logs.count('"event": "file_delivered"') == 3, "the containers' lines are in the tasks' logs"


def test_r1_4_a_new_yaml_file_is_a_dag_within_seconds_and_a_removed_one_is_none(compose):
    airflow = compose.airflow()
    compose.configure(
        "new_client",
        name="new_client",
        client_h_number="H9001",
        contacts=["data@example.com"],
        send_notifications=False,
        pickup={"bucket": "example-pickup", "prefix": "new_client/"},
        destination={"type": "gcs", "bucket": "never-seen-before", "prefix": "in/", "connection_id": "new_client_gcs"},
        bypass_file_checks=False,
        trigger_on_done_file=False,
        schedule=None,
    )
    began = time.monotonic()
    wait_until(lambda: "new_client" in airflow.dags(), "the new file's DAG", seconds=60)
    print(f"the new client's DAG was there after {time.monotonic() - began:.0f} s")
    compose.python(_DROP.format(key="new_client/first.csv", size=100))
    assert airflow.finished_run("new_client", airflow.trigger("new_client")) == "success"
    assert json.loads(compose.python(_RECIPIENT.format(client="new_client"))) == {"first.csv": 100}
    (compose.include / "client_configs" / "new_client.yaml").unlink()
    wait_until(lambda: "new_client" not in airflow.dags(), "the DAG goes with its file", seconds=240)


def test_r6_7_a_worker_is_killed_in_the_middle_and_the_next_try_resumes(compose):
    airflow = compose.airflow()
    before = describe(airflow, "summit_mutual")
    slow = {"type": "gcs", "bucket": "example-gcs-landing", "prefix": "summit_mutual/", "max_bytes_per_second": RATE}
    compose.configure(
        "summit_mutual",
        trigger_on_done_file=False,
        destination=slow | {"connection_id": "summit_mutual_gcs"},
        offload_threshold=10 * BIG,
    )
    wait_until(lambda: describe(airflow, "summit_mutual") != before, "the edit is in force", seconds=60)
    compose.python(_DROP.format(key="summit_mutual/monthly.bin", size=BIG))
    run_id = airflow.trigger("summit_mutual")

    def entry() -> list[object] | None:
        found: list[object] | None = json.loads(compose.python(_ENTRY.format(client="H1002", name="monthly.bin")))
        return found

    wait_until(lambda: (found := entry()) and found[3], "some parts are there", seconds=180, interval=1)
    compose("kill", "--signal", "KILL", "worker")
    killed = entry()
    compose("up", "--wait", "worker")
    assert killed is not None
    assert killed[:3] == ["processing", 0, True], "nobody has counted, or closed, what nobody saw fail"
    assert airflow.finished_run("summit_mutual", run_id, seconds=400) == "success"
    (task,) = [one for one in airflow.tasks("summit_mutual", run_id) if one["task_id"] == "transfer_batch"]
    assert task["try_number"] >= 2, "the killed try was tried again"
    log = airflow.task_log("summit_mutual", run_id, "transfer_batch", map_index=0, try_number=task["try_number"])
    (resumed,) = [json.loads(line) for line in log.splitlines() if '"event": "file_resumed"' in line]
    print("resumed:", resumed)
    assert json.loads(compose.python(_RECIPIENT.format(client="summit_mutual")))["monthly.bin"] == BIG
    assert entry() == ["success", 0, False, 0]


def test_r4_1_the_scheduler_is_killed_and_restarted_in_the_middle_and_the_run_ends_green(compose):
    airflow = compose.airflow()
    run_id = airflow.trigger("pinnacle_plan")
    compose("kill", "--signal", "KILL", "scheduler")
    compose.python(_DROP.format(key="pinnacle_plan/after-restart.csv", size=1000))
    compose("up", "--wait", "scheduler")
    assert airflow.finished_run("pinnacle_plan", run_id, seconds=300) == "success"
    found = json.loads(compose.python(_RECIPIENT.format(client="pinnacle_plan")))
    assert found["after-restart.csv"] == 1000


def test_secrets_are_generated_and_the_containers_are_not_root(compose):
    assert compose("exec", "-T", "scheduler", "id", "-u").strip() == "10001"
    assert compose("exec", "-T", "postgres", "id", "-u").strip() == "10001"
    environment = compose("exec", "-T", "scheduler", "env")
    password = compose("exec", "-T", "api-server", "cat", "/run/airflow-secrets/postgres-password").strip()
    assert len(password) >= 24
    assert password not in environment
