"""Steps of a run at their edges: what people are told, and what is left alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from client_delivery.ledger.configurations import Begun
from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef
from client_delivery.pickup.pickup import PickupError
from client_delivery.pickup.place import explained
from client_delivery.run import closing, leftovers, transfer
from client_delivery.run.batches import BatchRef
from client_delivery.run.detection import FormRefused, check_form
from client_delivery.run.guarding import guards_of
from client_delivery.run.transfer import BatchTransfer, NotFinished
from client_delivery.transfer.contract import DestinationUnavailable
from tests.support.factories import EARLIER, MODIFIED, RUN, a_file, an_entry
from tests.support.offline import PagedRecord, a_config, a_record, a_run
from tests.unit.pickup.s3_refusing import S3

FAILED = {"status": Status.FAIL, "owned_by": RUN, "last_error": "The partner's disk is full."}


class Ledger:
    """Entries, as a step reads them; ``shown``: how many more of them the index shows at each look."""

    delivery_key = "H1234"

    def __init__(self, *entries: Any, shown: int | None = None, noted: bool = False) -> None:
        self._entries, self._shown = entries, len(entries) if shown is None else shown
        self._looks = 0
        self.manifest = SimpleNamespace(etags=lambda *_: ["etag-a"] if noted else [])
        self.inactive: list[str] = []

    def of_run(self, owner: RunRef, batch: int | None = None) -> list[Any]:
        self._looks += 1
        return list(self._entries[: self._looks * self._shown])

    def find(self, keys: Any) -> dict[str, Any]:
        wanted = set(keys)
        return {entry.identity: entry for entry in self._entries if entry.identity in wanted}

    def open_entries(self) -> list[Any]:
        return list(self._entries)

    def deactivate(self, entries: list[Any]) -> list[str]:
        self.inactive += [entry.file_name for entry in entries]
        return self.inactive


class TestFailures:
    """R8.3: what makes a run red."""

    @staticmethod
    def run_of(count: int) -> Any:
        entries = [an_entry(a_file(f"{n:02}.csv", f"{n}"), **FAILED) for n in range(count)]
        return a_run(ledger=Ledger(*entries), sets=SimpleNamespace(due=lambda: [], find=lambda ids: {}))

    def test_twenty_are_named_and_the_rest_is_counted(self):
        said = closing.failures(self.run_of(23), 0) or ""
        assert said.startswith("23 files were not delivered for H1234:\n")
        assert said.count("The partner's disk is full.") == 20
        assert "  and 3 more; each is in the ledger and in the finish e-mail\n" in said

    def test_what_an_earlier_try_has_closed_counts_too(self):
        assert "  and 4 more;" in (closing.failures(self.run_of(1), 5) or "")
        assert "more" not in (closing.failures(self.run_of(1), 1) or "")


class TestLeftoversAtTheDestination:
    """Of files that no attempt resumes."""

    def clean_up(self, destination: Any) -> None:
        failed = an_entry(**FAILED, resume={"upload": "u1"})
        run = a_run()
        object.__setattr__(run, "open_destination", destination)
        closing._clean_up(run, [failed])

    def test_a_destination_that_is_away_fails_no_report(self, events):
        def away() -> Any:
            raise DestinationUnavailable("No route to the host.")

        self.clean_up(away)
        (line,) = events("leftovers_not_removed")
        assert (line["files"], line["error"]) == (["a.csv"], "DestinationUnavailable")


class TestARemovedFilesLastRun:
    """What it left active, when its YAML file is gone."""

    @pytest.mark.parametrize(("state", "inactive"), [("running", []), ("failed", ["a.csv"]), (None, ["a.csv"])])
    def test_is_set_inactive_once_it_is_over(self, monkeypatch, state, inactive):
        forgotten: list[Begun] = []
        begun = Begun("acme", EARLIER, "{}", {}, "2026-03-01T12:00:00.000Z")
        ledger = Ledger(an_entry(active=True, open=True), an_entry(a_file("b.csv", "b"), active=False))
        run = a_run(ledger=ledger)
        object.__setattr__(run, "state_of", lambda ref: state)
        object.__setattr__(run, "forget", forgotten.append)
        said = leftovers.deactivate_of_removed(run, begun)
        assert (ledger.inactive, len(forgotten)) == (inactive, bool(inactive))
        assert (
            ("set inactive: 1" in said) if inactive else (f"still under way, and ends as it began: {EARLIER}" in said)
        )


def test_files_that_are_asked_for_outside_the_window_are_refused_with_the_way_out():
    now = datetime.now(UTC)
    closed = {"from": f"{now + timedelta(hours=2):%H:%M}", "to": f"{now + timedelta(hours=3):%H:%M}"}
    config = a_config(window=closed)
    with pytest.raises(FormRefused, match=r"sending window opens at .* Nothing was sent\. Ask for them again then"):
        check_form(a_run(config, form={"send_again": ["etag-a"]}))
    check_form(a_run(config, form={"send_again": ["etag-a"], "ignore_window": True}))


class TestATry:
    """Which files a task sees that are its own."""

    BATCH: ClassVar[BatchRef] = {
        "batch": 0,
        "files": 2,
        "bytes": 20,
        "label": "",
        "owner": str(RUN),
        "offloaded": False,
    }

    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch):
        """Time goes by only while it is waited for."""
        self.now = 0.0
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(transfer, "time", clock)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def entries(self, ledger: Ledger, owner: RunRef = RUN) -> list[str]:
        return [entry.file_name for entry in BatchTransfer(a_run(ledger=ledger, owner=owner), self.BATCH).entries()]

    def two(self, **how: Any) -> Ledger:
        return Ledger(*(an_entry(a_file(name, name), owned_by=RUN) for name in ("a.csv", "b.csv")), **how)

    def test_what_the_index_does_not_show_yet_is_waited_for(self):
        assert self.entries(self.two(shown=1)) == ["a.csv", "b.csv"]
        assert self.now == 0.5

    def test_what_it_never_shows_is_left_to_the_next_try(self):
        with pytest.raises(NotFinished, match=r"shows 0 of the batch's 2 files after 60 s\. Nothing was sent"):
            self.entries(self.two(shown=0))
        assert 60 <= self.now < 62

    def test_what_another_run_has_taken_over_is_not_waited_for(self):
        """The run's own notes are read consistently."""
        ledger = Ledger(an_entry(owned_by=RUN), noted=True)
        assert self.entries(ledger) == ["a.csv"]
        assert self.now == 0

    def test_after_a_clear_fewer_are_right(self):
        assert self.entries(Ledger(), RunRef(RUN.run_id, 1, RUN.dag_id)) == []
        assert self.now == 0


class TestGuards:
    """What a run looks up for them (R5.10)."""

    def sizes(self, record: PagedRecord) -> str | None:
        config = a_config(guards={"size_within": "10%"})
        assert config.guards is not None
        guards = guards_of(config, config.guards, record, S3)  # type: ignore[arg-type]
        return guards.refusal(a_file("claims_20260304.csv", size=1000))

    def test_the_last_deliveries_of_the_kind_are_found_on_later_pages(self):
        def of(name: str, size: int) -> Any:
            return a_record(an_entry(a_file(name)), size=size)

        others = [of(f"members_{n}.csv", 5) for n in range(3)]
        claims = [of(f"claims_2026030{n}.csv", 100) for n in range(1, 4)]
        assert self.sizes(PagedRecord(others, claims[:1], claims[1:])) is not None
        assert self.sizes(PagedRecord(others, claims[:1])) is None, "too few to say what is usual"

    def test_a_record_without_an_end_is_not_read_for_ever(self):
        record = PagedRecord([a_record(an_entry(a_file("members.csv")))], endless=True)
        assert self.sizes(record) is None
        assert record.asked == 10

    def test_enough_deliveries_of_the_kind_end_the_search(self):
        record = PagedRecord([a_record(an_entry(a_file("claims_1.csv")), size=1000)] * 7, endless=True)
        assert self.sizes(record) is None
        assert record.asked == 1

    @pytest.mark.parametrize("refusal", [(404, "NoSuchKey"), (403, "AccessDenied")])
    def test_a_checksum_file_that_is_not_there_holds_the_file(self, refusal):
        """Without the right to list, S3 calls a missing object denied."""
        assert "there is no checksum file 'a.csv.sha256' beside it" in (self.checksum(refusal) or "")

    def test_trouble_of_s3_holds_no_file(self):
        with pytest.raises(PickupError), explained(a_config(), "read", "a.csv"):
            self.checksum((503, "SlowDown"))

    def checksum(self, refusal: tuple[int, str]) -> str | None:
        s3 = S3()
        s3.refuse("GetObject", "in/a.csv.sha256", refusal)
        config = a_config(guards={"checksum_files": "sha256"})
        assert config.guards is not None
        guards = guards_of(config, config.guards, PagedRecord(), lambda: s3)  # type: ignore[arg-type, return-value]
        return guards.refusal(a_file("a.csv", modified=MODIFIED))


def test_a_configuration_that_is_only_written_differently_is_no_change(events):
    """What cannot be noted without a table is told by the log."""
    run = a_run()
    now = run.config.model_dump_json(exclude_defaults=True)

    def before(configuration: str) -> Begun:
        return Begun("acme", EARLIER, configuration, {}, "2026-03-01T12:00:00.000Z")

    for same in (now, json.dumps(json.loads(now), indent=1)):
        run.note_change(lambda same=same: before(same), now)
    assert events("change_not_noted") == []
    run.note_change(lambda: before(now.replace("H1234", "H4321")), now)
    run.note_change(lambda: None, now)
    assert len(events("change_not_noted")) == 2
