"""A container is killed before and after each of its calls (R3.5, R6.1, R6.2, R6.7): the run goes on by the next one,
in the same run, and the invariants hold."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from local.stand_ins import ECS_FAMILY
from tests.faults.crash import Death
from tests.faults.deliveries import MIB, Kind, drawn_for, note, prepare
from tests.faults.dying_container import definition
from tests.support.scenario import MakeScenario

KINDS = [Kind(destination, {"offload_threshold": MIB}) for destination in ("gcs", "sftp", "s3")]
SAMPLE = 1
NEVER = 1_000_000
_numbers = itertools.count(1)


def die(scenario: MakeScenario, kind: Kind, at: int, when: Any, directory: Path) -> Death:
    """One death of a container; the run is told nothing of it but what ECS says."""
    number = next(_numbers)
    notes = directory / f"container-{number}"
    delivery = prepare(scenario, kind, directory)
    ecs = delivery.client.stack.client("ecs")
    usual = ecs.describe_task_definition(taskDefinition=ECS_FAMILY)["taskDefinition"]
    family = f"dying-{os.getpid()}-{number}"
    ecs.register_task_definition(**definition(usual, family, at, when, notes))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW__DELIVERY__ECS_TASK_DEFINITION", family)
            run = delivery.client.run()
        assert run.state == "success", run.errors
        count, _, call = notes.read_text().partition(" ")
        killed = call != "end"
        # Once the ledger knows of the delivery, a container's death is nothing to try again for.
        assert run.tries["transfer_batch[1]"] in ((1, 2) if killed else (1,))
        delivery.check_at_any_moment()
        delivery.until_quiet()
        delivery.check(most=2 if killed else 1)
    except BaseException as error:
        seen = notes.read_text() if notes.exists() else "none"
        raise AssertionError(f"{kind}: container killed {when} call {at} ({seen}): {error}") from error
    return Death(killed, call, int(count))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_sample_of_all_deaths(scenario, kind, tmp_path):
    calls = die(scenario, kind, NEVER, "before", tmp_path).calls
    points = list(itertools.product(range(1, calls + 1), ("before", "after")))
    deaths = [die(scenario, kind, at, when, tmp_path) for at, when in drawn_for(kind).sample(points, SAMPLE)]
    assert any(death.killed for death in deaths)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_death(scenario, kind, tmp_path):
    calls = die(scenario, kind, NEVER, "before", tmp_path).calls
    points = itertools.product(range(1, calls + 1), ("before", "after"))
    killed = sum(die(scenario, kind, at, when, tmp_path).killed for at, when in points)
    note(f"{kind}: {calls} calls of the container, {killed} deaths")
    assert killed > calls
