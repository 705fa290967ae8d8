"""What arrives beside the files of a set, decided from what the ledger says of them (R12)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.ledger.arrival import ArrivalName
from client_delivery.ledger.entry import Status, Wish
from client_delivery.ledger.sets import FileSet
from client_delivery.pickup.intake import Take
from client_delivery.run import companions
from client_delivery.run.companions import SetOfRun
from client_delivery.transfer.contract import Receipt
from tests.support.factories import MODIFIED, RUN, a_file, an_entry
from tests.support.offline import a_config, a_run

SHA = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WISH = Wish("2026-03-02T08:00:00.000Z", "manual__x")


class Sets:
    """The sets in the ledger."""

    def __init__(self, *sealed: FileSet, members: Iterable[Any] = ()) -> None:
        self._sets = {one.id: one for one in sealed}
        self._members = [entry.identity for entry in members]
        self.noted: dict[str, list[str]] = {}
        self.settled_: list[str] = []
        self.completed_: list[str] = []
        self.sealed: list[FileSet] = []

    def note(self, set_id: str, entries: list[str]) -> None:
        self.noted[set_id] = list(entries)

    def seal(self, new: FileSet) -> None:
        self.sealed.append(new)

    def find(self, ids: Iterable[str]) -> dict[str, FileSet]:
        return {one: self._sets[one] for one in ids if one in self._sets}

    def members(self, set_id: str) -> list[str]:
        return self._members

    def due(self) -> list[str]:
        return []

    def settled(self, set_id: str) -> None:
        self.settled_.append(set_id)
        self._sets[set_id] = replace(self._sets[set_id], trouble=None)

    def completed(self, set_id: str, uri: str, checksum: str) -> bool:
        self.completed_.append(uri)
        return True

    def mark_due(self, ids: Iterable[str], trouble: str | None = None) -> None:
        for one in ids:
            self._sets[one] = replace(self._sets[one], trouble=trouble)


class Destination:
    """It takes what it is given."""

    parallel_jobs = 2

    def __init__(self) -> None:
        self.names: list[str] = []

    def deliver(self, job: Any, journal: Any) -> Receipt:
        self.names.append(job.name)
        return Receipt(f"s3://landing/{job.name}", job.source.size, "crc32c:x", "checksum")


SET = FileSet("set-1", "all.done", "names", "sha256")
CONFIG = {"sidecar": "sha256", "completion_file": {"name": "all.done", "content": "names"}}


def member(name: str, **changes: Any) -> Any:
    known = {"set_id": "set-1", "digests": {"sha256": SHA}, "sidecar_at": None}
    return an_entry(a_file(name, name), **known | changes)


def delivered(monkeypatch: Any, one: FileSet, *entries: Any) -> tuple[list[str], Any]:
    """The names of what arrives beside the files, and the run."""
    there = Destination()
    monkeypatch.setattr(companions, "destination_of", lambda *args, **options: nullcontext(there))
    by_key = {entry.identity: entry for entry in entries}
    sidecars: list[Any] = []
    ledger = SimpleNamespace(
        find=lambda keys: {key: by_key[key] for key in keys if key in by_key}, sidecar_delivered=sidecars.append
    )
    run = a_run(a_config(**CONFIG), sets=Sets(one, members=entries), ledger=ledger)
    companions.deliver_companions(run, entries)
    return there.names, run


def test_a_checksum_file_arrives_beside_each_file_and_then_the_completion_file(monkeypatch):
    names, run = delivered(monkeypatch, SET, member("a.csv"), member("b.csv", sidecar_at="2026-03-01T12:00:00.000Z"))
    assert names == ["a.csv.sha256", "all.done"]
    assert run.sets.completed_ == ["s3://landing/all.done"]
    assert companions.undelivered(run, [member("a.csv")]) is None


def test_the_completion_file_takes_no_files_place(monkeypatch, events):
    twin = member("x.csv", delivered_name="all.done")
    names, run = delivered(monkeypatch, replace(SET, sidecar=None), member("a.csv"), twin)
    assert (names, run.sets.completed_) == ([], [])
    said = companions.undelivered(run, [twin])
    assert said is not None
    assert 'A file of the set is called "all.done", like the completion file' in said
    assert said.endswith("to retry now, clear the task `notify_finished`.")
    assert len(events("companions_not_delivered")) == 1


def test_a_file_that_was_sent_before_checksums_were_asked_for_is_named(monkeypatch):
    names, run = delivered(monkeypatch, SET, member("old.csv", digests={}))
    assert names == []
    said = companions.undelivered(run, [member("old.csv")])
    assert 'The sha256 of "old.csv" is not known' in (said or "")


def test_a_set_of_which_everything_has_arrived_says_nothing(monkeypatch, events):
    done = replace(SET, completed_at="2026-03-01T12:00:00.000Z")
    names, run = delivered(monkeypatch, done, member("a.csv", sidecar_at="2026-03-01T12:00:00.000Z"))
    assert (names, run.sets.settled_) == ([], ["set-1"])
    assert events("checksum_files_delivered") == events("set_not_complete") == []


def test_the_last_file_completes_a_set_whose_checksum_files_are_there(monkeypatch, events):
    """Nobody is told of checksum files that were delivered before."""
    names, _ = delivered(monkeypatch, SET, member("a.csv", sidecar_at="2026-03-01T12:00:00.000Z"))
    assert names == ["all.done"]
    assert events("checksum_files_delivered") == []


class TestProofs:
    """The completion files that the contacts get."""

    @staticmethod
    def proofs(one: FileSet, *entries: Any) -> list[tuple[str, bytes]]:
        by_key = {entry.identity: entry for entry in entries}
        ledger = SimpleNamespace(find=lambda keys: {key: by_key[key] for key in keys if key in by_key})
        config = a_config(completion_file={"name": "done/all.txt", "content": "names", "to_contacts": True})
        return companions.proofs(a_run(config, sets=Sets(one, members=entries), ledger=ledger), entries)

    def test_a_complete_set_is_proven_by_what_was_sent(self):
        one = FileSet("set-1", "done/all.txt", "names", None, completed_at="2026-03-01T12:00:00.000Z")
        assert self.proofs(one, member("a.csv"), member("b.csv", status=Status.FAIL)) == [("all.txt", b"a.csv\n")]

    def test_nothing_proves_a_set_that_is_not_complete(self):
        assert self.proofs(FileSet("set-1", "done/all.txt", "names", None), member("a.csv")) == []

    def test_a_proof_too_large_for_an_e_mail_is_left_out(self, monkeypatch):
        monkeypatch.setattr(companions, "_LARGEST_PROOF", 5)
        one = FileSet("set-1", "done/all.txt", "names", None, completed_at="2026-03-01T12:00:00.000Z")
        assert self.proofs(one, member("a.csv")) == []


class TestWhichSet:
    """A file that is registered belongs to."""

    @staticmethod
    def of(before: Any, file: Any, *, sealed: bool = True, **take: Any) -> str | None:
        sets = Sets(*([SET] if sealed else []))
        run = a_run(a_config(**CONFIG), sets=sets)
        one = Take("etag-a", file, before=before, **take)
        found = SetOfRun(run).of([one], [])["etag-a"]
        assert sets.noted == ({str(RUN): ["etag-a"]} if found == str(RUN) else {})
        return found

    def test_a_set_with_checksum_files_only_is_sealed_without_a_completion_file(self):
        sets = Sets()
        of_run = SetOfRun(a_run(a_config(sidecar="sha256"), sets=sets))
        of_run.of([Take("etag-a", a_file())], [])
        of_run.seal()
        assert sets.sealed == [FileSet(str(RUN), None, "empty", "sha256")]

    def test_a_run_without_files_of_its_own_seals_nothing(self):
        sets = Sets(SET)
        of_run = SetOfRun(a_run(a_config(**CONFIG), sets=sets))
        before = member("a.csv", status=Status.FAIL)
        of_run.of([Take("etag-a", before.source, before=before)], [])
        of_run.seal()
        assert sets.sealed == []

    def test_a_file_that_was_delivered_and_is_sent_once_more_stays_in_its_set(self):
        before = member("a.csv")
        assert self.of(before, before.source) == "set-1", "the very object"
        dropped_again = replace(before.source, last_modified=MODIFIED + timedelta(days=1))
        assert self.of(replace(before, wanted=WISH), dropped_again) == "set-1", "a person has asked for it"
        assert self.of(before, dropped_again, name=ArrivalName("a-7.csv")) == "set-1", "under the name that it had"

    def test_the_same_content_dropped_again_under_bypass_belongs_to_the_set_of_the_run(self):
        before = member("a.csv")
        again = replace(before.source, last_modified=MODIFIED + timedelta(days=1))
        assert self.of(before, again) == str(RUN)

    @pytest.mark.parametrize("sealed", [True, False])
    def test_what_failed_belongs_to_the_set_that_it_came_with_if_that_was_ever_sealed(self, sealed):
        before = member("a.csv", status=Status.FAIL)
        assert self.of(before, before.source, sealed=sealed) == ("set-1" if sealed else str(RUN))
