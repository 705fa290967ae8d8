"""When a file is held: by what is known of it, of its set, and of those before it (R5.10)."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from client_delivery.config.guards import GuardsSection
from client_delivery.pickup.guards import Guards
from tests.support.factories import MODIFIED, a_file


def guards(*before: int, **section: object) -> Guards:
    config = TypeAdapter(GuardsSection).validate_python(section)
    return Guards(config, now=MODIFIED, sizes_before=lambda name: before)


PAIR = [{"pattern": "claims*.csv"}, {"pattern": "members*.csv", "at_least": 2, "at_most": 3}]


def test_a_set_that_was_not_counted_yet_is_not_called_incomplete():
    """A look that only asks whether there is anything to do counts nothing."""
    assert guards(expected_files=PAIR).refusal(a_file("claims.csv")) is None


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["claims.csv", "members1.csv"], "1 files are like 'members*.csv', but 2 to 3 are expected"),
        (["members1.csv", "members2.csv"], "0 files are like 'claims*.csv', but at least 1 are expected"),
        (["claims.csv", *(f"members{n}.csv" for n in range(4))], "4 files are like 'members*.csv', but 2 to 3"),
    ],
    ids=["too few", "none", "too many"],
)
def test_every_file_of_an_incomplete_set_is_held(names, complaint):
    held = guards(expected_files=PAIR)
    held.count(names)
    assert all(complaint in (held.refusal(a_file(name)) or "") for name in names)


def test_a_complete_set_goes():
    complete = guards(expected_files=PAIR)
    complete.count(["claims.csv", "members1.csv"])
    complete.count(["members2.csv", "anything.txt"])
    assert complete.refusal(a_file("claims.csv")) is None


@pytest.mark.parametrize(
    ("size", "before", "held"),
    [(80, (100, 100), False), (80, (100, 100, 100), False), (79, (100, 100, 100), True), (121, (90, 100, 500), True)],
    ids=["too few to compare with", "at the edge", "too small", "too large for the median"],
)
def test_a_size_is_compared_with_those_before(size, before, held):
    why = guards(*before, size_within="20%").refusal(a_file(size=size))
    assert (why is not None) == held
