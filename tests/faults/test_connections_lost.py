"""The SFTP server's connection is lost at every request, before it is sent or after it took effect (R3.5, R6.2, R6.3).

The whole delivery goes on in the same run: a file that was under way is resumed, the others are sent. For what the
HTTP services do there is :mod:`tests.faults.test_errors_everywhere`.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.faults.deliveries import Kind, drawn_for, note, prepare
from tests.support.lost import NEVER, When, cutting
from tests.support.scenario import MakeScenario

KINDS = [Kind("sftp"), Kind("sftp", server="rclone")]
SAMPLE = 2


def lose(scenario: MakeScenario, kind: Kind, at: int, when: When, directory: Path) -> int:
    """One connection lost; returns how many requests there were."""
    delivery = prepare(scenario, kind, directory)
    try:
        with cutting(at, when) as seen:
            run = delivery.client.run()
        assert run.state == "success", run.errors
        delivery.check_at_any_moment()
        delivery.until_quiet()
        delivery.check()
    except BaseException as error:
        raise AssertionError(f"lost {when} request {at} ({seen[at - 1 : at]}): {error}") from error
    return len(seen)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_sample_of_all_lost_connections(scenario, kind, tmp_path):
    requests = lose(scenario, kind, NEVER, "before", tmp_path)
    points = list(itertools.product(range(1, requests + 1), ("before", "after")))
    for at, when in drawn_for(kind).sample(points, SAMPLE):
        lose(scenario, kind, at, when, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_lost_connection(scenario, kind, tmp_path):
    requests = lose(scenario, kind, NEVER, "before", tmp_path)
    for at in range(1, requests + 1):
        lose(scenario, kind, at, "before", tmp_path)
        lose(scenario, kind, at, "after", tmp_path)
    note(f"{kind}: {requests} requests, {2 * requests} lost connections")
