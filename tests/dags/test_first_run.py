"""When a new client runs for the first time: at its next time, not at once for its last one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum
import pytest

from client_delivery.config.schedule import spread_by

EXAMPLE = Path(__file__).resolve().parents[2] / "include" / "client_configs" / "aurora_health.yaml"


@pytest.fixture
def due(monkeypatch) -> Any:
    """``due("0 6 1 * *", now)``: when Airflow's scheduler begins the next run."""
    from airflow.serialization.serialized_objects import DagSerialization

    from client_delivery.building.delivery import build_dag
    from client_delivery.config.loader import load_file

    config = load_file(EXAMPLE)

    def ask(schedule: str, now: datetime, last: datetime | None = None) -> datetime:
        from airflow.timetables.base import DagRunInfo

        monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: now)
        built = build_dag(config.model_copy(update={"schedule": schedule}))
        dag = DagSerialization.from_dict(DagSerialization.to_dict(built))
        info = dag.next_dagrun_info(last_automated_run_info=DagRunInfo.exact(pendulum.instance(last)) if last else None)
        found: datetime = info.run_after
        return found

    return ask


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "deployed", "first"),
    [
        ("0 6 1 * *", "2026-11-25 10:00", "2026-12-01 06:00"),
        ("0 6 * * 1-5", "2026-11-28 10:00", "2026-11-30 06:00"),
        ("0 0 1 1 *", "2026-11-25 10:00", "2027-01-01 00:00"),
        ("*/15 * * * *", "2026-11-25 10:05", "2026-11-25 10:15"),
        ("30 * * * *", "2026-11-25 10:00", "2026-11-25 10:30"),
    ],
)
def test_r4_1_a_new_client_waits_for_its_next_time(due, schedule, deployed, first):
    assert due(schedule, at(deployed)) == at(first)


@pytest.mark.parametrize(
    ("schedule", "late"), [("0 6 1 * *", timedelta(minutes=59)), ("*/15 * * * *", timedelta(0, 59))]
)
def test_the_first_run_is_not_lost_where_the_file_is_read_again_before_the_scheduler_has_begun_it(due, schedule, late):
    """The DAG processor reckons the next run anew at each parse."""
    assert due(schedule, at("2026-12-01 06:00") + late) == at("2026-12-01 06:00")


def test_a_later_run_that_was_missed_is_made_up_for_once(due):
    last = at("2026-11-01 06:00")
    assert due("0 6 1 * *", at("2026-12-01 11:00"), last) == at("2026-12-01 06:00")
    assert due("0 6 1 * *", at("2026-12-01 11:00"), at("2026-12-01 06:00")) == at("2027-01-01 06:00")


@pytest.mark.parametrize("name", ["aurora_health", "cedar_care", "harbor_benefits", "a", "b", "c", "d", "e", "f", "g"])
def test_an_upgrade_to_spread_minutes_neither_misses_a_run_nor_begins_one_twice(due, name):
    """Runs came at each quarter of an hour; the DAG of the new release is first seen at any second of it."""
    spread = spread_by("H/15 * * * *", name)
    last = at("2026-11-26 10:00")
    for minute in range(15):
        seen = last + timedelta(minutes=minute, seconds=30)
        following = due(spread, seen, last)
        assert last < following <= last + timedelta(minutes=15)
        again = due(spread, max(seen, following), following)
        assert again - following == timedelta(minutes=15), "and from then on every 15 minutes"
