"""R6.1: what is asked of ECS for a batch."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from client_delivery.ledger.life import RunRef
from client_delivery.run.batches import BatchRef
from client_delivery.run.container_task import (
    LARGEST_OVERRIDES,
    ContainerTask,
    NoContainers,
    family_of,
    group_of,
    stop_all,
    works_for,
)
from client_delivery.run.container_trouble import as_described
from client_delivery.run.order import ORDER_VARIABLE, Order
from client_delivery.runtime.settings import OffloadSettings
from client_delivery.transfer.plan import longest
from tests.unit.run.test_container import CONFIG

GIB = 1024**3
OWNER = RunRef("run", 1, "acme")


class Orders:
    """Where orders are left that are too long."""

    def __init__(self):
        self.left = []

    def leave(self, owner, number, order):
        self.left.append((owner, number, order))
        return "the order's place"


def settings(**changes):
    usual = OffloadSettings(
        cluster="c",
        task_definition="arn:aws:ecs:r:1:task-definition/transfer:7",
        subnets=(),
        security_groups=(),
        container="transfer",
        log_group="",
        log_stream_prefix="ecs",
        spot=False,
        poll_seconds=15,
    )
    return replace(usual, **changes)


def task_of(size=GIB, *, refusals=0, config=CONFIG, offload=None):
    run = SimpleNamespace(
        config=config,
        owner=OWNER,
        bypass=False,
        orders=Orders(),
        settings=SimpleNamespace(offload=offload or settings()),
    )
    return ContainerTask(
        run, BatchRef(batch=3, files=1, bytes=size, label="", owner=str(OWNER), offloaded=True), refusals
    )


def order_in(overrides):
    (container,) = overrides["containerOverrides"]
    (variable,) = container["environment"]
    assert (container["name"], variable["name"]) == (settings().container, ORDER_VARIABLE)
    return variable["value"]


def test_the_order_says_which_batch_of_which_run():
    order = Order.from_json(order_in(task_of().overrides()))
    assert (order.config, order.owner, order.batch, order.remove_source) == (CONFIG, OWNER, 3, False)


@pytest.mark.parametrize(("size", "cpu", "memory"), [(100 * GIB - 1, "1024", "2048"), (100 * GIB, "2048", "4096")])
def test_a_large_batch_gets_a_larger_container(size, cpu, memory):
    overrides = task_of(size).overrides()
    assert (overrides["cpu"], overrides["memory"]) == (cpu, memory)


def test_an_order_that_is_too_long_for_ecs_goes_by_the_ledger():
    config = CONFIG.model_copy(update={"contacts": tuple(f"{n}.{'someone' * 6}@example.com" for n in range(200))})
    task = task_of(config=config)
    overrides = task.overrides()
    assert len(json.dumps(overrides)) <= LARGEST_OVERRIDES
    assert json.loads(order_in(overrides)) == {"left_in_ledger": "the order's place", "delivery_key": "H1234"}
    ((owner, number, order),) = task.run.orders.left
    assert (owner, number, Order.from_json(order).config.contacts) == (OWNER, 3, config.contacts)


def test_spot_is_asked_for_once():
    """A refusal for want of capacity is answered by a container that costs more, not by waiting."""
    first, second = (task_of(refusals=n, offload=settings(spot=True)).arguments() for n in (0, 1))
    assert first["capacity_provider_strategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    assert (first["launch_type"], second["launch_type"]) == ("", "FARGATE")
    assert second["capacity_provider_strategy"] is None


def test_waiting_lasts_as_long_as_the_batch_may_take():
    short, long = (task_of(size, offload=settings(poll_seconds=10)).arguments() for size in (GIB, 1000 * GIB))
    assert short["waiter_delay"] == 10
    assert long["waiter_max_attempts"] * 10 >= longest(1, 1000 * GIB).total_seconds()
    assert (long["waiter_max_attempts"] - 1) * 10 < longest(1, 1000 * GIB).total_seconds()
    assert short["waiter_max_attempts"] < long["waiter_max_attempts"]


@pytest.mark.parametrize(
    ("offload", "network", "stream"),
    [
        (settings(), None, None),
        (
            settings(subnets=("s1", "s2"), security_groups=("g",), log_group="log", log_stream_prefix="ecs/x"),
            {"subnets": ["s1", "s2"], "securityGroups": ["g"], "assignPublicIp": "DISABLED"},
            "ecs/x",
        ),
    ],
)
def test_a_container_has_no_public_address(offload, network, stream):
    asked = task_of(offload=offload).arguments()
    assert asked["network_configuration"] == (network and {"awsvpcConfiguration": network})
    assert asked["awslogs_stream_prefix"] == stream


def test_a_batch_that_was_planned_for_a_container_says_so_where_there_are_none():
    task = task_of()
    task.run.settings.offload = None
    with pytest.raises(NoContainers, match=r"delivery\.ecs_cluster .* no longer set\. Set them again, or clear"):
        task.arguments()


def test_a_clients_containers_are_told_from_others():
    assert family_of(settings()) == family_of(settings(task_definition="transfer:8")) == "transfer"
    assert group_of("H1234#claims") == "delivery:H1234:claims"
    mine, other = {"group": "delivery:H1234"}, {"group": "delivery:H1234:claims"}
    assert (works_for(mine, "H1234"), works_for(other, "H1234"), works_for({}, "H1234")) == (True, False, False)


@pytest.mark.parametrize(
    ("tasks", "why", "said"),
    [
        ([], None, "It is not known how the container ended (ECS no longer knows it)."),
        ([], "ECS does not say: timeout", "It is not known how the container ended (ECS does not say: timeout)."),
        ([{"lastStatus": "RUNNING"}], None, "It is not known how the container ended (ECS says that it runs)."),
    ],
)
def test_an_end_that_nobody_saw_is_no_attempt(tasks, why, said):
    trouble = as_described(tasks, why)
    assert trouble.text.startswith(said)
    assert (trouble.counts, trouble.waits) == (False, False)


def test_a_container_that_delivered_leaves_the_word_to_the_ledger():
    assert as_described([{"lastStatus": "STOPPED", "containers": [{"exitCode": 0}]}], None) is None


def test_only_a_clients_own_containers_are_stopped():
    """Of as many pages as there are, an empty one among them."""
    tasks = {"t1": "delivery:H1234", "t2": "delivery:H1234:claims", "t3": "delivery:H1234"}
    stopped = []
    ecs = SimpleNamespace(
        get_paginator=lambda name: SimpleNamespace(
            paginate=lambda **_: [{"taskArns": []}, {"taskArns": ["t1", "t2"]}, {"taskArns": ["t3"]}]
        ),
        describe_tasks=lambda **how: {"tasks": [{"taskArn": arn, "group": tasks[arn]} for arn in how["tasks"]]},
        stop_task=lambda **how: stopped.append((how["task"], len(how["reason"]))),
    )
    assert stop_all(ecs, settings(), "H1234", "x" * 2000) == ["t1", "t3"]
    assert stopped == [("t1", 1000), ("t3", 1000)], "ECS takes no longer reason"
