"""Why a container could not start, or how it ended, reaches the people who have to act (R6.2, R8.3)."""

from __future__ import annotations

import json

import pytest

from client_delivery.ledger.entry import Status
from client_delivery.operators.triggers.pause import PauseTrigger
from client_delivery.run import offloaded
from client_delivery.runtime.backoff import Backoff
from tests.functional.runs.test_offload import MIB, offloading, tasks_of
from tests.support import runs

CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
VCPUS = "You've reached the limit on the number of vCPUs you can run concurrently"


@pytest.fixture
def client(scenario):
    """With one big file."""
    client = offloading(scenario, "s3")
    client.drop("big.bin", b"1" * (2 * MIB))
    return client


@pytest.fixture
def hurried(monkeypatch):
    """Pauses of an hour pass in no time."""
    monkeypatch.setattr(offloaded, "_NO_ROOM", Backoff(0.01, 0.02))


def told(client, run):
    """What ledger, report and finish e-mail say of the file."""
    return {
        "ledger": client.entries()["big.bin"].last_error or "",
        "report": str(run.errors["report"]),
        "mail": " ".join(client.mails()[-1].text.split()),
    }


def failures(*reasons):
    return {"call": "ecs.RunTask", "answer": {"tasks": [], "failures": [{"arn": "a", "reason": r} for r in reasons]}}


def test_r8_3_a_refused_start_is_three_attempts_and_in_ecs_words_everywhere(client):
    message = "User is not authorized to perform: iam:PassRole"
    client.aws_faults(
        {"call": "ecs.RunTask", "status": 400, "code": "AccessDeniedException", "message": message, "times": 0}
    )
    run = client.run()
    assert run.state == "failed"
    entry = client.entries()["big.bin"]
    assert (entry.status, entry.send_attempts) == (Status.FAIL, 3)
    for where, text in told(client, run).items():
        assert f"The container could not be started: {message} [AccessDeniedException]" in text, where
        assert "needs ecs:RunTask" in text, where


def test_r8_3_what_stands_in_the_list_of_failures_is_told(client):
    client.aws_faults({**failures("MISSING"), "times": 0})
    run = client.run()
    assert client.entries()["big.bin"].send_attempts == 3
    for where, text in told(client, run).items():
        assert "The container could not be started: MISSING. What to do: check delivery.ecs_cluster" in text, where


@pytest.mark.parametrize(
    "rule", [failures(CAPACITY), {"call": "ecs.RunTask", "status": 400, "code": "ClientException", "message": VCPUS}]
)
def test_r6_2_want_of_room_costs_the_file_no_attempt(client, hurried, rule):
    """Ten refusals outlast Airflow's four tries."""
    client.aws_faults({**rule, "times": 10})
    run = client.run()
    assert run.errors == {}
    assert run.tries["transfer_batch[0]"] == 1
    entry = client.entries()["big.bin"]
    assert (entry.status, entry.send_attempts, entry.last_error) == (Status.SUCCESS, 0, None)
    assert client.delivered() == {"big.bin": b"1" * (2 * MIB)}


def test_r6_2_the_pauses_grow_and_an_hour_in_vain_is_one_attempt(client, monkeypatch):
    clock = Clock(monkeypatch)
    client.aws_faults({**failures(CAPACITY), "times": 0})
    run = client.run()
    assert run.state == "failed"
    assert clock.pauses[:9] == pytest.approx([30, 60, 120, 240, 480, 600, 600, 600, 600], abs=1)
    assert clock.passed / 3 >= 3_600
    entry = client.entries()["big.bin"]
    assert (entry.status, entry.send_attempts) == (Status.FAIL, 3)
    for where, text in told(client, run).items():
        assert f"The container could not be started: {CAPACITY}" in text, where
        assert "This lasted for" in text, where


def test_r8_3_while_it_waits_the_ledger_says_for_what(client, monkeypatch):
    seen = []
    original = runs._first_event

    async def first_event(trigger):
        if not isinstance(trigger, PauseTrigger):
            return await original(trigger)
        seen.append(client.entries()["big.bin"])
        client.aws_faults()
        return {}

    monkeypatch.setattr("tests.support.runs._first_event", first_event)
    client.aws_faults({**failures(CAPACITY), "times": 0})
    assert client.run().state == "success"
    (waiting,) = seen
    assert CAPACITY in waiting.last_error
    assert (waiting.status, waiting.send_attempts) == (Status.PROCESSING, 0)


def test_spot_without_room_goes_on_demand(client, hurried, monkeypatch):
    monkeypatch.setenv("AIRFLOW__DELIVERY__ECS_SPOT", "true")
    client.aws_faults(failures(CAPACITY))
    assert client.run().state == "success"
    (task,) = tasks_of(client)
    assert task["launchType"] == "FARGATE"


def test_r6_2_a_container_that_ecs_has_forgotten_is_named_and_resumed(client):
    """Both the triggerer's questions and the task's: ECS keeps what has stopped for an hour."""
    missing = {"tasks": [], "failures": [{"arn": "a", "reason": "MISSING"}]}
    client.aws_faults({"call": "ecs.DescribeTasks", "answer": missing, "times": 4})
    run = client.run()
    assert run.state == "success", run.errors
    assert client.delivered() == {"big.bin": b"1" * (2 * MIB)}


def test_r8_3_nothing_but_forgotten_containers_is_told_with_its_reason(scenario):
    client = offloading(scenario)
    client.drop("big.bin", b"1" * (2 * MIB))
    client.gcs_faults({"call": "PutObject", "delay": 30, "times": 0})
    missing = {"tasks": [], "failures": [{"arn": "a", "reason": "MISSING"}]}
    client.aws_faults({"call": "ecs.DescribeTasks", "answer": missing, "times": 0})
    run = client.run()
    for where, text in told(client, run).items():
        assert "ECS no longer knows it" in text, where


@pytest.mark.slow  # it waits out the trigger's pauses
@pytest.mark.timeout(1800)
def test_questions_that_ecs_does_not_answer_cost_no_try(client):
    """The client library repeats a call five times: this is more."""
    client.aws_faults({"call": "ecs.DescribeTasks", "status": 400, "code": "ThrottlingException", "times": 12})
    run = client.run()
    assert run.state == "success"
    assert run.tries["transfer_batch[0]"] == 1
    assert len(tasks_of(client)) == 1


def test_r1_4_a_configuration_that_ecs_cannot_carry_goes_by_the_ledger(scenario):
    """The documented limit is 8,192 characters; the quotes of JSON in JSON count twice."""
    patterns = [f"{number:03d}-\u00e9\u4e2d-{'x' * 200}*" for number in range(49)]
    client = offloading(scenario, "s3")
    client.edit(pickup={**client.config.model_dump()["pickup"], "include": [*patterns, "*.bin"], "exclude": patterns})
    client.drop("big.bin", b"1" * (2 * MIB))
    run = client.run()
    assert run.state == "success", run.errors
    (task,) = tasks_of(client)
    order = task["overrides"]["containerOverrides"][0]["environment"][0]["value"]
    assert len(json.dumps(task["overrides"])) < 1000
    assert json.loads(order)["left_in_ledger"] == f"order#{client.config.name}/{run.run_id}/0#0"


def test_no_cluster_any_more_is_an_attempt_with_its_reason(client, monkeypatch):
    from client_delivery.operators.register_files import RegisterFilesSensor
    from tests.functional.runs.trouble import after

    after(monkeypatch, RegisterFilesSensor, lambda: monkeypatch.setenv("AIRFLOW__DELIVERY__ECS_CLUSTER", ""))
    run = client.run()
    for where, text in told(client, run).items():
        assert "delivery.ecs_cluster and delivery.ecs_task_definition are no longer set" in text, where


def test_a_container_that_does_nothing_is_not_taken_for_one_that_delivered(client, monkeypatch):
    """An image of an older release takes the order for another run's, and ends with 0."""
    client.stack.client("ecs").register_task_definition(
        family="idle",
        containerDefinitions=[
            {"name": "transfer", "image": "old:latest", "memory": 512, "command": ["python", "-c", "pass"]}
        ],
    )
    monkeypatch.setenv("AIRFLOW__DELIVERY__ECS_TASK_DEFINITION", "idle")
    run = client.run()
    assert run.state == "failed"
    for where, text in told(client, run).items():
        assert "its image is from a different release than Airflow's plugins" in text, where


class Clock:
    """Passes only with the pauses that a trigger asks for."""

    def __init__(self, monkeypatch):
        self.passed, self.pauses = 0.0, []
        monkeypatch.setattr(offloaded, "time", self)
        monkeypatch.setattr("tests.support.runs._first_event", self._first_event)

    def time(self):
        return self.passed

    def monotonic(self):
        return self.passed

    async def _first_event(self, trigger):
        self.pauses.append(trigger.until - self.passed)
        self.passed = trigger.until
        return {}
