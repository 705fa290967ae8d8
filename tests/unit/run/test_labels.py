"""What the Airflow UI calls a mapped task instance fits Airflow's column, whatever a file is called."""

from __future__ import annotations

import pytest
from airflow.models.taskinstance import TaskInstance

from client_delivery.pickup.intake import Take
from client_delivery.run.batches import LONGEST_LABEL, Share
from client_delivery.transfer.plan import split
from tests.support.factories import a_file


def label(name: str) -> str:
    size = 30 * 1024**3
    share = Share()
    share.add(Take("etag", a_file(name, size=size)))
    return share.described(0, split([size], threshold=1, most_batches=4), "r/0")["label"]


def test_the_limit_is_airflows():
    assert TaskInstance.__table__.c["rendered_map_index"].type.length == LONGEST_LABEL


@pytest.mark.parametrize("length", [1, 211, 212, 213, 400, 1024])
def test_a_label_is_as_long_as_it_may_be_and_ends_with_the_names_end_and_the_size(length):
    name = ("2026/11/" + "x" * 1024)[: length - 1] + "Z"
    found = label(name)
    before, after = "batch 1 of 1: container for ", ", 30.0 GiB"
    room = LONGEST_LABEL - len(before) - len(after)
    assert found == before + (name if length <= room else "…" + name[-(room - 1) :]) + after
    assert len(found) <= LONGEST_LABEL


def test_control_characters_are_shown_and_not_stored():
    assert label("a\0b\n\x1b[31m.csv") == r"batch 1 of 1: container for a\x00b\n\x1b[31m.csv, 30.0 GiB"
