"""Acknowledgements at the destination: what is looked for, what counts, and what is said when nobody can look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from client_delivery.ledger.acknowledgements import Acknowledged
from client_delivery.ledger.entry import timestamp
from client_delivery.run import awaited
from client_delivery.run.awaited import Look
from client_delivery.transfer.listing import ListingRefused, There
from tests.support.factories import a_file, an_entry
from tests.support.offline import PagedRecord, a_config, a_record, a_run

DELIVERED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Notes:
    """The acknowledgements in the ledger."""

    def __init__(self, *used: tuple[str, str | None]) -> None:
        self._used = set(used)
        self.noted: list[Acknowledged] = []

    def since(self, begin: str) -> list[str]:
        return []

    def used(self, found: Any) -> set[tuple[str, str | None]]:
        return self._used & set(found)

    def note(self, one: Acknowledged, days: int) -> None:
        self.noted.append(one)


@pytest.fixture
def there(monkeypatch) -> list[There]:
    """What is in the directory ``ack/``."""
    files: list[There] = []

    class Listed:
        def files(self, directory: str, begins: str) -> Iterator[There]:
            assert directory == "ack/"
            return (one for one in files if one.name.startswith(begins))

    _listing(monkeypatch, Listed)
    return files


def _listing(monkeypatch: Any, made: Callable[[], Any]) -> None:
    @contextmanager
    def listing_of(*args: object, **options: object) -> Iterator[Any]:
        yield made()

    monkeypatch.setattr(awaited, "listing_of", listing_of)


def run_of(*names: str, pattern: str = "ack/{delivered}*.ack", notes: Notes | None = None) -> Any:
    records = [a_record(an_entry(a_file(name)), at=timestamp(DELIVERED)) for name in names]
    return a_run(
        a_config(acknowledgement={"pattern": pattern}),
        acknowledgements=notes or Notes(),
        history=PagedRecord(*([one] for one in records)),
    )


def looked(run: Any) -> Look:
    found = awaited.awaited(run, run.config.acknowledgement, "")
    awaited.search(run, run.config.acknowledgement, found)
    return found


def ack(name: str, minutes: float = 1) -> There:
    return There(name, 3, DELIVERED + timedelta(minutes=minutes))


def test_the_first_that_came_and_is_no_other_deliverys_counts(there):
    there += [ack("a.csv2.ack", 30), ack("a.csv1.ack", 20), ack("a.csv0.ack", 10), ack("a.csv-old.ack", -10)]
    notes = Notes(("ack/a.csv0.ack", timestamp(DELIVERED + timedelta(minutes=10))))
    run = run_of("a.csv", notes=notes)
    assert looked(run).left() == []
    assert [one.found for one in notes.noted] == ["ack/a.csv1.ack"]


def test_of_thousands_that_fit_one_delivery_only_some_are_considered(there):
    """A wide pattern in a full directory."""
    there += [ack(f"a.csv{number:03}.ack", number) for number in range(100)]
    run = run_of("a.csv")
    (delivery,) = looked(run).deliveries
    assert len(delivery.candidates) == 20
    assert delivery.found is not None
    assert delivery.found.found == "ack/a.csv000.ack"


def test_many_that_have_come_are_counted_in_the_log(there, events):
    names = [f"{number:03}.csv" for number in range(120)]
    there += [ack(f"{name}.ack") for name in names]
    run = run_of(*names)
    assert looked(run).left() == []
    assert len(run.acknowledgements.noted) == 120
    assert len(events("file_acknowledged")) == 100
    assert [line["files"] for line in events("files_acknowledged")] == [120]


def test_the_latest_deliveries_are_looked_for_and_the_rest_is_said(there, monkeypatch, events):
    monkeypatch.setattr(awaited, "MOST_AWAITED", 3)
    found = looked(run_of("a.csv", "b.csv", "a.csv", "c.csv", "d.csv"))
    assert [one.delivered for one in found.deliveries] == ["a.csv", "b.csv", "c.csv"], "the latest of each name"
    assert found.more
    assert "More than 3 deliveries have no acknowledgement" in (found.trouble or "")
    assert events("acknowledgements_not_looked_for")[0]["error"] == found.trouble


def test_a_record_that_is_read_too_long_says_that_there_is_more(monkeypatch):
    monkeypatch.setattr(awaited, "MOST_READ", 2)
    run = run_of("a.csv", "a.csv", "b.csv")
    found = awaited.awaited(run, run.config.acknowledgement, "")
    assert ([one.delivered for one in found.deliveries], found.more) == (["a.csv"], True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ListingRefused("The account may not list 'ack/'."), "The account may not list 'ack/'."),
        (ConnectionError("password=hunter2"), "unexpected ConnectionError; see the log"),
    ],
    ids=["refused", "unexpected"],
)
def test_a_destination_that_cannot_be_looked_at_is_no_missing_acknowledgement(monkeypatch, events, error, said):
    """An exception's own text may hold a credential: only the masked log has it."""

    def fails() -> Any:
        raise error

    _listing(monkeypatch, fails)
    monkeypatch.setattr(awaited, "MOST_AWAITED", 1)
    found = looked(run_of("a.csv", "b.csv"))
    assert found.trouble == said, "and not what is said of a look that saw less than all"
    assert found.deliveries[0].found is None
    assert [line["error"] for line in events("acknowledgements_not_looked_for")] == [said]
