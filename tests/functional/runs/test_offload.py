"""Big files go by containers (R6.1): the true operator, waiter and entry point, with containers as local processes."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from client_delivery.ledger.entry import Status
from local.wait import wait_until
from tests.support import runs
from tests.support.factories import an_entry

MIB = 1024**2
NOTHING = an_entry()
DESTINATIONS = ("gcs", "sftp", "s3")


def offloading(scenario, destination="gcs", **changes):
    client = scenario(destination, offload_threshold=MIB, **changes)
    name = client.config.name
    if connection := os.environ.get(f"AIRFLOW_CONN_{name.upper()}"):
        # The container finds it where MWAA's Airflow does.
        client.stack.store_connection(name, json.loads(connection))
    return client


def tasks_of(client):
    ecs = client.stack.client("ecs")
    arns = [
        arn
        for status in ("RUNNING", "STOPPED")
        for arn in ecs.list_tasks(cluster="transfers", desiredStatus=status)["taskArns"]
    ]
    tasks = ecs.describe_tasks(cluster="transfers", tasks=arns)["tasks"] if arns else []
    return [task for task in tasks if task["group"] == f"delivery:{client.config.delivery_key}"]


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_r6_1_big_files_go_by_a_container_each_and_the_rest_by_the_worker(scenario, destination):
    client = offloading(scenario, destination)
    files = {"big-1.bin": b"1" * (5 * MIB), "big-2.bin": b"2" * (2 * MIB), "small.csv": b"small"}
    for name, content in files.items():
        client.drop(name, content)
    run = client.run()
    assert run.errors == {}
    assert run.state == "success"
    assert client.delivered() == files
    assert [batch["offloaded"] for batch in run.batches] == [False, True, True]
    assert "container for big-1.bin" in run.batches[1]["label"]
    tasks = tasks_of(client)
    assert [task["containers"][0]["exitCode"] for task in tasks] == [0, 0]
    assert {entry.status for entry in client.entries().values()} == {Status.SUCCESS}


def test_the_containers_log_reaches_cloudwatch_with_a_line_for_each_file(scenario):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    assert client.run().state == "success"
    logs = client.stack.client("logs")
    (task,) = tasks_of(client)
    stream = f"transfer/transfer/{task['taskArn'].rpartition('/')[2]}"
    lines = [
        event["message"] for event in logs.get_log_events(logGroupName="/ecs/transfer", logStreamName=stream)["events"]
    ]
    events = [json.loads(line)["event"] for line in lines]
    # What libraries log is a line of its own kind: it cannot pass for an event.
    assert [event for event in events if event != "log"] == [
        "batch_started",
        "file_started",
        "file_delivered",
        "batch_finished",
    ]


def test_r6_2_a_container_whose_file_fails_is_tried_three_times_and_its_reason_is_told(scenario):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    client.gcs_faults({"call": "PutObject", "status": 400, "code": "InvalidArgument", "times": 0})
    run = client.run()
    assert run.state == "failed"
    assert len(tasks_of(client)) == 3
    entry = client.entries()["big.bin"]
    assert (entry.status, entry.send_attempts) == (Status.FAIL, 3)
    assert "InvalidArgument" in str(run.errors["transfer_batch[0]"])


def test_r6_7_a_container_that_is_killed_is_followed_by_one_that_resumes(scenario):
    """SIGKILL in the middle of a large file, as when its memory is over or its host is gone."""
    client = offloading(scenario)
    content = bytes(range(256)) * (4096 * 48)
    client.drop("big.bin", content)
    # The last parts are slow, so that there is a middle to kill in.
    client.gcs_faults({"call": "UploadPart$", "skip": 1, "delay": 8, "times": 2})
    killer = threading.Thread(target=kill_when_resumable, args=(client,))
    killer.start()
    run = client.run()
    killer.join()
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 2
    assert client.delivered() == {"big.bin": content}
    codes = sorted(task["containers"][0]["exitCode"] for task in tasks_of(client))
    assert codes == [0, 137]
    entry = client.entries()["big.bin"]
    assert (entry.status, entry.send_attempts) == (Status.SUCCESS, 0)


def kill_when_resumable(client, how=signal.SIGKILL):
    """Once the ledger has a part of the file, end the container's process."""

    def resumable():
        entry = client.entries().get("big.bin")
        return entry is not None and bool((entry.resume or {}).get("runs"))

    wait_until(resumable, "a checkpoint with a part", seconds=60)
    os.kill(container_of(client), how)


def container_of(client):
    """The process that stands for the client's running container."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if client.config.client_h_number.encode() in environment and b"client_delivery.container" in command:
            return int(path.parent.name)
    raise AssertionError("no container runs")


def test_r6_7_a_container_that_is_told_to_stop_keeps_what_it_has_and_the_next_goes_on(scenario):
    client = offloading(scenario)
    content = bytes(range(256)) * (4096 * 48)
    client.drop("big.bin", content)
    client.gcs_faults({"call": "UploadPart$", "skip": 1, "delay": 3, "times": 2})
    stopper = threading.Thread(target=kill_when_resumable, args=(client, signal.SIGTERM))
    stopper.start()
    run = client.run()
    stopper.join()
    assert run.state == "success"
    assert client.delivered() == {"big.bin": content}
    assert sorted(task["containers"][0]["exitCode"] for task in tasks_of(client)) == [0, 12]


class WorkerLost(BaseException):
    """The worker, and the triggerer with it."""


def test_r3_5_an_old_container_that_races_a_new_run_changes_nothing(scenario, monkeypatch):
    """The run dies while its container works; the next run takes over while the old container is still alive."""
    client = offloading(scenario)
    content = bytes(range(256)) * (4096 * 48)
    client.drop("big.bin", content)
    client.gcs_faults({"call": "UploadPart$", "skip": 1, "delay": 6, "times": 2})
    # Nobody stops it: it really races.
    monkeypatch.setattr("client_delivery.operators.offload.stop_containers", lambda *_: [])

    async def gone(trigger):
        raise WorkerLost

    with monkeypatch.context() as death:
        death.setattr("tests.support.runs._first_event", gone)
        with pytest.raises(WorkerLost):
            client.run()
    wait_until(lambda: (client.entries()["big.bin"].resume or {}).get("runs"), "a checkpoint", seconds=60)
    assert client.run().state == "success"
    assert client.delivered() == {"big.bin": content}
    wait_until(lambda: all(task["lastStatus"] == "STOPPED" for task in tasks_of(client)), "both ended", seconds=60)
    events = [e for e in client.stack.gcs("events") if e["name"].startswith(client.config.destination.prefix)]
    assert len(events) == 1, "the file became visible once"
    entry = client.entries()["big.bin"]
    assert (entry.status, entry.active) == (Status.SUCCESS, False)


def test_r3_5_what_a_dead_runs_container_still_does_is_stopped_by_the_next_run(scenario, monkeypatch):
    client = offloading(scenario)
    content = bytes(range(256)) * (4096 * 48)
    client.drop("big.bin", content)
    client.gcs_faults({"call": "UploadPart$", "skip": 1, "delay": 20, "times": 2})

    async def gone(trigger):
        raise WorkerLost

    with monkeypatch.context() as death:
        death.setattr("tests.support.runs._first_event", gone)
        with pytest.raises(WorkerLost):
            client.run()
    wait_until(lambda: (client.entries()["big.bin"].resume or {}).get("runs"), "a checkpoint", seconds=60)
    client.gcs_faults()
    assert client.run().state == "success"
    assert client.delivered() == {"big.bin": content}
    reasons = [task.get("stoppedReason", "") for task in tasks_of(client)]
    assert any("left over" in reason for reason in reasons)


def test_a_refused_start_is_tried_again(scenario):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    client.aws_faults({"call": "ecs.RunTask", "status": 400, "code": "ClusterNotFoundException", "times": 1})
    run = client.run()
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 2


def test_r6_2_a_container_that_never_starts_fails_after_three_attempts_and_says_why(scenario, monkeypatch):
    client = offloading(scenario)
    client.stack.client("ecs").register_task_definition(
        family="broken", containerDefinitions=[{"name": "transfer", "image": "missing:latest", "memory": 512}]
    )
    monkeypatch.setenv("AIRFLOW__DELIVERY__ECS_TASK_DEFINITION", "broken")
    client.drop("big.bin", b"1" * (2 * MIB))
    run = client.run()
    assert run.state == "failed"
    entry = client.entries()["big.bin"]
    assert (entry.status, entry.send_attempts) == (Status.FAIL, 3)
    assert entry.last_error == "The container could not be started: CannotPullContainerError: missing:latest"
    assert any("CannotPullContainerError" in mail.text for mail in client.mails())


def test_a_task_that_is_stopped_in_the_console_is_resumed(scenario):
    client = offloading(scenario)
    content = bytes(range(256)) * (4096 * 48)
    client.drop("big.bin", content)
    client.gcs_faults({"call": "UploadPart$", "skip": 1, "delay": 3, "times": 2})

    def stop():
        wait_until(lambda: (client.entries().get("big.bin") or NOTHING).resume, "it has begun", seconds=60)
        (task,) = tasks_of(client)
        client.stack.client("ecs").stop_task(cluster="transfers", task=task["taskArn"], reason="by hand")

    stopper = threading.Thread(target=stop)
    stopper.start()
    run = client.run()
    stopper.join()
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 2
    assert client.delivered() == {"big.bin": content}


def test_throttled_questions_cost_a_try_and_not_a_second_container(scenario):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    client.gcs_faults({"call": "PutObject", "delay": 4, "times": 1})
    client.aws_faults({"call": "ecs.DescribeTasks", "status": 400, "code": "ThrottlingException", "times": 6})
    run = client.run()
    assert run.state == "success"
    assert len(tasks_of(client)) == 1
    assert client.delivered() == {"big.bin": b"1" * (2 * MIB)}


def test_a_missing_log_stream_stops_nothing(scenario, monkeypatch):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    monkeypatch.setenv("AIRFLOW__DELIVERY__ECS_LOG_GROUP", "/ecs/none")
    run = client.run()
    assert run.state == "success"


def test_a_triggerer_that_is_restarted_goes_on_waiting(scenario, monkeypatch):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    client.gcs_faults({"call": "PutObject", "delay": 5, "times": 1})
    restarts = []

    async def first_event(trigger):
        try:
            return await asyncio.wait_for(original(trigger), 1.5)
        except TimeoutError:
            restarts.append(True)
            path, fields = trigger.serialize()
            module, _, name = path.rpartition(".")
            return await original(getattr(importlib.import_module(module), name)(**fields))

    original = runs._first_event
    monkeypatch.setattr("tests.support.runs._first_event", first_event)
    run = client.run()
    assert restarts
    assert run.state == "success"
    assert len(tasks_of(client)) == 1


def test_without_a_cluster_everything_stays_on_the_workers(scenario, monkeypatch):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    monkeypatch.setenv("AIRFLOW__DELIVERY__ECS_CLUSTER", "")
    run = client.run()
    assert run.state == "success"
    assert [batch["offloaded"] for batch in run.batches] == [False]
    assert tasks_of(client) == []
