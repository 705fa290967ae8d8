"""The watcher in the triggerer, on fakes and a clock of the test's: when it looks, what it tells, what it survives."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.operators.triggers import arrival
from client_delivery.operators.triggers.arrival import ArrivalTrigger
from client_delivery.run.watchers import Watchers
from client_delivery.run.watching import Arrival

INTERVAL = 45.0


class Pickup:
    """A client's pick-up, as :class:`client_delivery.run.watching.Watch` would tell of it."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.waits: str | None = None
        """The digest of what has come, if anything."""
        self.claimed: set[str] = set()
        self.looks = 0
        self.requests = 1
        self.error: Exception | None = None
        self.holds: threading.Event | None = None

    def look(self) -> Arrival | None:
        self.looks += 1
        if self.holds is not None:
            self.holds.wait(10)
        if self.error is not None:
            raise self.error
        return Arrival(self.waits, 1) if self.waits else None

    def claim(self, found: Arrival) -> bool:
        ours = found.digest not in self.claimed
        self.claimed.add(found.digest)
        return ours


class Bench:
    """A triggerer's process: its watchers, their pick-ups, and Airflow's answers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.under_way: set[str] = set()
        self.pickups: dict[str, Pickup] = {}
        self.sleeps: list[float] = []
        self.watchers = self.process()

    def process(self) -> Watchers:
        """A new process of the triggerer, which remembers nothing."""
        return Watchers(self._is_under_way, clock=lambda: self.now, sleep=self._sleep, make=self._pickup)

    async def _is_under_way(self, name: str) -> bool:
        return name in self.under_way

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def _pickup(self, config: Any) -> Any:
        return self.pickups.setdefault(config.name, Pickup(config))

    async def looks(self, name: str, number: int) -> list[dict[str, Any]]:
        """Let a client's watcher look so many times; returns what it told Airflow."""
        watcher = self.watchers.of(configuration(name))
        told = []
        for _ in range(number):
            if (payload := await self.watchers.next(watcher)) is not None:
                told.append(payload)
                watcher.untold = None
        return told


def configuration(name: str, **fields: Any) -> str:
    return json.dumps(
        {
            "name": name,
            "client_h_number": "H1234",
            "contacts": ["a@example.com"],
            "send_notifications": False,
            "pickup": {"bucket": "pickup", "prefix": f"{name}/"},
            "destination": {"type": "s3", "bucket": "there", "prefix": f"{name}/"},
            "bypass_file_checks": False,
            "trigger_on_done_file": False,
            "trigger": "on_arrival",
            **fields,
        }
    )


@pytest.fixture
def bench(monkeypatch) -> Bench:
    monkeypatch.delenv("AIRFLOW__DELIVERY__ARRIVAL_SECONDS", raising=False)
    return Bench()


def test_it_looks_once_in_an_interval_and_tells_of_each_arrival_once(bench):
    async def scene() -> None:
        assert await bench.looks("acme", 3) == []
        assert bench.sleeps[1:] == [INTERVAL, INTERVAL]
        bench.pickups["acme"].waits = "first"
        assert await bench.looks("acme", 3) == [{"files": 1}], "the same files again start nothing"
        bench.pickups["acme"].waits = "second"
        assert await bench.looks("acme", 1) == [{"files": 1}]
        bench.pickups["acme"].waits = None
        assert await bench.looks("acme", 1) == []

    asyncio.run(scene())


def test_a_thousand_clients_are_spread_over_the_interval_after_a_restart(bench):
    due = [bench.watchers.of(configuration(f"client_{number:03d}")).due - bench.now for number in range(1000)]
    assert min(due) >= 0
    assert max(due) < INTERVAL
    tenths = Counter(int(moment / INTERVAL * 10) for moment in due)
    assert max(tenths.values()) < 2 * min(tenths.values()), tenths


def test_an_edited_configuration_is_looked_at_when_the_old_one_would_have_been(bench):
    async def scene() -> None:
        await bench.looks("acme", 1)
        before = bench.watchers.of(configuration("acme"))
        edited = bench.watchers.of(configuration("acme", feed="claims"))
        assert edited is not before
        assert edited.due == before.due

    asyncio.run(scene())


def test_while_a_run_is_under_way_nothing_starts_and_it_looks_again_soon(bench):
    async def scene() -> None:
        await bench.looks("acme", 1)
        bench.pickups["acme"].waits = "first"
        bench.under_way.add("acme")
        assert await bench.looks("acme", 5) == []
        assert bench.pickups["acme"].claimed == set()
        bench.under_way.clear()
        assert await bench.looks("acme", 1) == [{"files": 1}]
        assert bench.sleeps[2:] == [10, 20, 40, INTERVAL, INTERVAL]

    asyncio.run(scene())


def test_what_another_triggerer_has_claimed_is_not_told_again(bench):
    async def scene() -> None:
        await bench.looks("acme", 1)
        bench.pickups["acme"].waits = "first"
        assert await bench.looks("acme", 1) == [{"files": 1}]
        bench.watchers = bench.process()  # the other one, or this one after a restart
        assert await bench.looks("acme", 2) == []

    asyncio.run(scene())


def test_an_event_that_airflow_did_not_take_is_told_by_the_next_instance(bench, monkeypatch):
    monkeypatch.setattr(arrival, "WATCHERS", bench.watchers)

    async def scene() -> None:
        bench.watchers.of(configuration("acme"))
        bench.pickups["acme"].waits = "first"
        lost = ArrivalTrigger(configuration("acme")).run()
        assert (await anext(lost)).payload == {"files": 1}
        await lost.aclose()  # cancelled before Airflow had it
        again = ArrivalTrigger(configuration("acme")).run()
        assert (await anext(again)).payload == {"files": 1}
        following = asyncio.create_task(anext(again))  # Airflow asks for the next one: it has this one
        while bench.pickups["acme"].looks < 4:
            await asyncio.sleep(0)
        assert not following.done()
        following.cancel()

    asyncio.run(scene())


def test_a_look_goes_on_though_its_instance_is_cancelled_and_two_instances_share_it(bench):
    async def scene() -> None:
        watcher = bench.watchers.of(configuration("acme"))
        pickup = bench.pickups["acme"]
        pickup.waits, pickup.holds = "first", threading.Event()
        first = asyncio.create_task(bench.watchers.next(watcher))
        while not pickup.looks:
            await asyncio.sleep(0)
        second = asyncio.create_task(bench.watchers.next(watcher))
        await asyncio.sleep(0)
        first.cancel()
        pickup.holds.set()
        assert await second == {"files": 1}
        assert pickup.looks == 1

    asyncio.run(scene())


def test_trouble_is_said_once_an_hour_with_longer_and_longer_pauses_and_never_ends_it(bench, caplog):
    caplog.set_level(logging.INFO)

    async def scene() -> None:
        await bench.looks("acme", 1)
        pickup = bench.pickups["acme"]
        pickup.error = PermissionError("s3://pickup/acme/ may not be listed.\nForged line")
        began = bench.now
        assert await bench.looks("acme", 12) == []
        assert bench.sleeps[2:8] == [45, 90, 180, 360, 720, 900]
        lines = [
            json.loads(one.getMessage()) for one in caplog.records if '"arrival_not_looked_for"' in one.getMessage()
        ]
        assert len(lines) == 1 + int((bench.now - began) // 3600)
        assert lines[0]["configuration"] == "acme"
        assert "\n" not in lines[0]["error"]
        pickup.error, pickup.waits = None, "first"
        assert await bench.looks("acme", 1) == [{"files": 1}]

    asyncio.run(scene())


def test_airflow_that_does_not_answer_is_trouble_and_starts_nothing(bench):
    async def refuse(name: str) -> bool:
        raise RuntimeError("no answer")

    async def scene() -> None:
        bench.watchers.under_way = refuse
        bench.watchers.of(configuration("acme"))
        bench.pickups["acme"].waits = "first"
        assert await bench.looks("acme", 3) == []
        assert bench.pickups["acme"].claimed == set()

    asyncio.run(scene())


def test_a_bucket_that_does_not_respond_holds_up_no_other_client(bench):
    async def scene() -> None:
        slow = bench.watchers.of(configuration("slow"))
        bench.pickups["slow"].holds = threading.Event()
        waiting = asyncio.create_task(bench.watchers.next(slow))
        while not bench.pickups["slow"].looks:
            await asyncio.sleep(0)
        bench.watchers.of(configuration("quick"))
        bench.pickups["quick"].waits = "first"
        assert await bench.looks("quick", 1) == [{"files": 1}]
        assert not waiting.done()
        bench.pickups["slow"].holds.set()
        await waiting

    asyncio.run(scene())


def test_a_large_pickup_is_looked_at_less_often(bench):
    async def scene() -> None:
        bench.watchers.of(configuration("acme"))
        bench.pickups["acme"].requests = 100
        await bench.looks("acme", 2)
        assert bench.sleeps[1] == 10 * INTERVAL

    asyncio.run(scene())


def test_a_configuration_of_another_release_does_not_end_it_either(bench, monkeypatch, caplog):
    """Airflow would start it again each second. Its next parse of the DAG replaces the trigger."""
    monkeypatch.setattr(arrival, "WATCHERS", bench.watchers)

    async def scene() -> None:
        waiting = asyncio.create_task(anext(ArrivalTrigger(configuration("acme", of_tomorrow="secret")).run()))
        while len(bench.sleeps) < 3:
            await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(scene())
    assert set(bench.sleeps) == {3600}
    assert '"arrival_not_watched"' in caplog.text
    assert "secret" not in caplog.text


def test_airflow_finds_the_trigger_again_by_its_arguments():
    """Otherwise each parse of the DAG would end the watcher and start another (``add_asset_trigger_references``)."""
    from airflow.models.trigger import Trigger
    from airflow.serialization.encoders import encode_trigger
    from airflow.triggers.base import BaseEventTrigger

    trigger = ArrivalTrigger(configuration("acme"))
    parsed = encode_trigger(trigger)
    stored = Trigger.from_object(trigger)
    assert BaseEventTrigger.hash(parsed["classpath"], parsed["kwargs"]) == BaseEventTrigger.hash(
        stored.classpath, stored.kwargs
    )
    classpath, arguments = trigger.serialize()
    assert classpath == f"{ArrivalTrigger.__module__}.{ArrivalTrigger.__name__}"
    assert ArrivalTrigger(**arguments).serialize() == trigger.serialize()


def test_airflow_is_asked_for_runs_that_are_queued_or_running(monkeypatch):
    from airflow.sdk.execution_time import task_runner

    asked = []

    class Supervisor:
        async def asend(self, message: Any) -> Any:
            asked.append(message)
            return SimpleNamespace(count=1)

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    assert asyncio.run(arrival._under_way("acme")) is True
    assert [(one.dag_id, one.states) for one in asked] == [("acme", ["queued", "running"])]
