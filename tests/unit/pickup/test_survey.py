"""A look page by page decides as one over all files at once does, and needs no more memory for more files."""

from __future__ import annotations

import gc
import logging
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.many_waiting import SCENES, TABLE, client
from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.file import PickupFile
from client_delivery.ledger.identity import Fingerprint
from client_delivery.pickup import survey
from client_delivery.pickup.intake import Intake, Options, decide
from client_delivery.pickup.recognition import Rules, Sighting, facts, grouped
from client_delivery.pickup.spool import Spool
from tests.support.factories import EARLIER, RUN, a_file, an_entry
from tests.support.many_waiting import Waiting, standing_in
from tests.support.runs import Runs

MOST_BYTES = 250
"""More memory for each file more. Its size and the number of its batch are twelve, the rest is chance; one file alone,
with its key and ETag, has five hundred."""


def files(contents: Sequence[int]) -> list[PickupFile]:
    """Each upload has an ETag of its own, as under KMS; S3's checksum tells equal contents."""
    return [
        replace(a_file(f"{number:03d}.csv", f"etag-{number}"), content=Fingerprint((f"crc64nvme:{content}:10",)))
        for number, content in enumerate(contents)
    ]


class Known:
    """A ledger, and what would be recognised by it: the contents below ``entries`` in number."""

    def __init__(self, entries: Sequence[Entry], unsure: bool) -> None:
        self._entries = {entry.identity: entry for entry in entries}
        self._unsure = unsure
        self.hints_shared: set[str] = set()

    def sighting(self, file: PickupFile) -> Sighting:
        return Sighting(file, self._entries.get(self.hints(Sighting(file))[0]))

    def by_etag(self, some: Iterable[PickupFile]) -> list[Sighting]:
        return [self.sighting(file) for file in some]

    def by_content(self, sightings: list[Sighting], pickup: Any) -> list[Sighting]:
        return sightings

    def unsure(self, one: Sighting) -> bool:
        return self._unsure and one.entry is None

    def hints(self, one: Sighting) -> list[str]:
        return [one.file.content.checksums[0].split(":")[1]]

    def read_suspects(self, some: Sequence[Sighting], pickup: Any, shared: set[str]) -> None:
        self.hints_shared |= shared

    def each_open(self) -> Iterator[Entry]:
        return (entry for entry in self._entries.values() if entry.open)

    def each_held(self) -> Iterator[Entry]:
        return (entry for entry in self._entries.values() if entry.status is Status.FAIL and not entry.open)


@st.composite
def pickups(draw: st.DrawFn) -> tuple[list[PickupFile], list[Entry]]:
    waiting = files(draw(st.lists(st.integers(0, 8), max_size=25)))
    entries = []
    for content in draw(st.sets(st.integers(0, 12))):
        status = draw(st.sampled_from(Status))
        name = draw(st.sampled_from(["000.csv", "001.csv", "earlier.csv"]))
        file = a_file(name, f"etag-of-{content}")
        is_open = status is Status.PROCESSING or draw(st.booleans())
        entries.append(an_entry(file, identity=str(content), status=status, open=is_open, owned_by=EARLIER))
    return waiting, entries


def merged(parts: Iterable[Intake]) -> dict[str, Any]:
    """All decisions, whatever their order, for which no rule cares."""
    found: dict[str, list[str]] = {one.name: [] for one in fields(Intake)}
    complete = True
    for part in parts:
        complete &= part.complete
        for name in found.keys() - {"complete"}:
            found[name] += map(repr, getattr(part, name))
    return {name: sorted(value) for name, value in found.items()} | {"complete": complete}


def all_at_once(waiting: Sequence[PickupFile], known: Known, options: Options, thorough: bool) -> dict[str, Any]:
    groups = grouped([known.sighting(file) for file in waiting], options.rules)
    return merged([decide(groups, list(known.each_open()), options, thorough=thorough)])


def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "PAGE", 3)


@pytest.fixture(autouse=True, scope="module")
def _small_pages() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_pages(patch)
        yield


def a_pickup(waiting: Sequence[PickupFile], *, done: bool = False) -> Any:
    return SimpleNamespace(files=lambda: iter(waiting), done_file=lambda: "done" if done else None)


OPTIONS = st.builds(
    Options,
    owner=st.just(RUN),
    rules=st.builds(Rules, by_name=st.booleans()),
    bypass=st.booleans(),
    resend_failed=st.booleans(),
    keep=st.booleans(),
    file_pattern=st.sampled_from([None, "00*", "*1.csv"]),
)


@settings(deadline=None)
@given(pickups(), OPTIONS, st.booleans())
def test_page_by_page_is_decided_as_all_at_once(found, options, unsure):
    waiting, entries = found
    known: Any = Known(entries, unsure)
    with closing(survey.Survey(a_pickup(waiting), known, options, needs_done_file=False, recognition=known)) as here:
        first, again = merged(here.parts()), merged(here.parts())
    assert first == again, "the decisions are gone through several times"
    expected = all_at_once(waiting, known, options, thorough=True)
    assert first == expected


@settings(deadline=None)
@given(pickups(), OPTIONS, st.booleans())
def test_a_look_goes_on_when_there_is_something_to_do(found, options, done):
    waiting, entries = found
    known: Any = Known(entries, unsure=False)
    pickup = a_pickup(waiting, done=done)
    seen = survey.look(pickup, known, options, needs_done_file=False, recognition=known)
    expected = decide(
        grouped([known.sighting(file) for file in waiting], options.rules),
        list(known.each_open()),
        options,
        thorough=False,
    )
    assert seen.idle == (expected.idle and not done)
    assert seen.unknown == len(expected.unknown)
    assert seen.resume >= len(expected.resume)
    if expected.idle:
        assert seen.held == len(expected.held)
        assert [file.name for _, file in seen.some_held] == [file.name for _, file in expected.held] or seen.held > 1


@settings(deadline=None)
@given(pickups(), OPTIONS)
def test_without_the_done_file_only_what_failed_and_was_asked_for_goes(found, options):
    waiting, entries = found
    known: Any = Known(entries, unsure=False)
    with closing(survey.Survey(a_pickup(waiting), known, options, needs_done_file=True, recognition=known)) as here:
        parts = list(here.parts())
    assert not [take for part in parts for take in part.add]
    failed = {entry.identity for entry in known.each_held()}
    asked = {etag for etag in failed if options.resend_failed}
    again = [take.identity for part in parts for take in part.rearm]
    assert len(again) == len(set(again))
    assert set(again) <= asked
    if options.file_pattern is None:
        assert set(again) == asked


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.booleans(), st.booleans())
def test_the_spool_groups_as_memory_does(contents, by_name, by_content):
    rules = Rules(by_name=by_name, by_content=by_content)
    sightings = [Sighting(file) for file in files(contents)]
    with closing(Spool()) as spool:
        for one in sightings:
            spool.add(one, rules)
        assert list(spool.groups(rules)) == list(grouped(sightings, rules))
    assert all(facts(one, rules) for one in sightings)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30))
def test_files_far_apart_that_may_be_equal_are_known_for_it(contents):
    known: Any = Known([], unsure=True)
    options = Options(owner=RUN)
    with closing(survey.Survey(a_pickup(files(contents)), known, options, needs_done_file=False, recognition=known)):
        pass
    assert known.hints_shared == {str(content) for content in contents if contents.count(content) > 1}


@pytest.mark.parametrize("scene", ["new", "new, known to S3 by CRC32 only"])
def test_a_task_needs_no_more_memory_for_more_files(monkeypatch, scene):
    """A million files are measured by ``benchmarks.many_waiting``; what it cannot show is that the tasks' own memory
    does not grow, for it also counts what Python and SQLite keep for the next time."""
    monkeypatch.setattr(survey, "PAGE", 200)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)  # pytest keeps each line
    monkeypatch.setenv("AIRFLOW__DELIVERY__LEDGER_TABLE", TABLE)
    runs = Runs(client())

    def most(count: int) -> int:
        waiting = Waiting(runs.config, count, **SCENES[scene])
        with standing_in(waiting, TABLE) as (_, dynamodb):
            gc.collect()
            tracemalloc.start()
            try:
                result = runs.only("register_files")
                _, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert result.states == {"register_files": "success"}, result.errors
        assert dynamodb.written["entries"] == waiting.contents < count, "each content once, however far apart"
        return peak

    most(300)
    few, many = 600, 1800
    growth = (most(many) - most(few)) / (many - few)
    assert growth < MOST_BYTES, f"{growth:.0f} bytes for each file more"
