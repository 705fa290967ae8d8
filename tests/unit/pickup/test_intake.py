"""The rules of R5, as decisions over what waits and what the ledger knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from client_delivery.ledger.entry import Entry, Status
from client_delivery.ledger.file import PickupFile
from client_delivery.pickup.intake import Intake, Options, decide
from client_delivery.pickup.recognition import Rules, Sighting, grouped
from tests.support.factories import EARLIER, MODIFIED, RUN, a_file, an_entry


def decided(
    files: list[PickupFile], entries: list[Entry], *, dedupe_by: str = "content", listed: bool = True, **options: object
) -> Intake:
    rules = Rules(by_name=dedupe_by == "content_and_name" or bool(options.get("bypass")))
    known = {entry.identity: entry for entry in entries}
    sightings = [Sighting(file, known.get(file.etag)) for file in files if listed]
    choice = Options(**{"owner": RUN, "rules": rules, **options})  # type: ignore[arg-type]
    return decide(grouped(sightings, rules), [e for e in entries if e.open], choice)


def shape(intake: Intake) -> dict[str, list[str]]:
    """Each file's name under what is done with it."""
    found = {
        "add": [take.file.name for take in intake.add],
        "resume": [take.file.name for take in intake.resume],
        "rearm": [take.file.name for take in intake.rearm],
        "remove": [file.name for file in intake.remove],
        "duplicates": [file.name for _, file in intake.duplicates],
        "held": [file.name for _, file in intake.held],
        "unconcluded": [entry.file_name for entry in intake.unconcluded],
    }
    return {kind: names for kind, names in found.items() if names}


def test_r5_1_a_file_without_an_entry_is_added():
    assert shape(decided([a_file()], [])) == {"add": ["a.csv"]}


def test_r5_2_a_file_sent_before_is_removed():
    intake = decided([a_file()], [an_entry()])
    assert shape(intake) == {"remove": ["a.csv"]}
    assert not intake.idle


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAIL])
def test_r5_3_bypass_arms_again_whatever_the_outcome_was(status):
    assert shape(decided([a_file()], [an_entry(status=status)], bypass=True)) == {"rearm": ["a.csv"]}


def test_r5_4_a_failed_file_is_held_and_the_run_is_idle():
    intake = decided([a_file()], [an_entry(status=Status.FAIL)])
    assert shape(intake) == {"held": ["a.csv"]}
    assert intake.idle


def test_r5_4_a_failed_file_is_sent_again_on_request():
    assert shape(decided([a_file()], [an_entry(status=Status.FAIL)], resend_failed=True)) == {"rearm": ["a.csv"]}


def test_r5_4_resend_failed_does_not_send_again_what_was_delivered():
    assert shape(decided([a_file()], [an_entry()], resend_failed=True)) == {"remove": ["a.csv"]}


def test_r5_4_a_cleared_run_sends_again_what_failed_in_it():
    cleared = replace(RUN, generation=1)
    entry = an_entry(status=Status.FAIL, owned_by=RUN)
    intake = decided([a_file()], [entry], owner=cleared)
    assert shape(intake) == {"rearm": ["a.csv"]}


def test_r5_4_a_cleared_run_does_not_send_what_failed_in_another_run():
    owner = replace(RUN, generation=1)
    intake = decided([a_file()], [an_entry(status=Status.FAIL, owned_by=EARLIER)], owner=owner)
    assert shape(intake) == {"held": ["a.csv"]}


def test_r5_5_an_unfinished_file_is_resumed():
    entry = an_entry(status=Status.PROCESSING, open=True, send_attempts=2)
    assert shape(decided([a_file()], [entry])) == {"resume": ["a.csv"]}


def test_r4_6_an_unfinished_file_is_resumed_without_a_listing():
    entry = an_entry(status=Status.PROCESSING, open=True)
    intake = decided([a_file()], [entry], listed=False)
    assert shape(intake) == {"resume": ["a.csv"]}
    assert intake.resume[0].file == entry.source


def test_r4_6_an_unfinished_file_that_is_gone_is_resumed_so_that_it_ends_with_a_reason():
    assert shape(decided([], [an_entry(status=Status.PROCESSING, open=True)])) == {"resume": ["a.csv"]}


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAIL])
def test_r7_2_what_a_dead_run_left_unreported_is_work_to_conclude(status):
    intake = decided([], [an_entry(status=status, open=True)])
    assert shape(intake) == {"unconcluded": ["a.csv"]}
    assert not intake.idle


def test_r5_6_the_very_object_delivered_under_bypass_is_removed_and_not_sent_again():
    intake = decided([a_file()], [an_entry(remove_source=True)], bypass=True)
    assert shape(intake) == {"remove": ["a.csv"]}


def test_r5_6_the_same_content_dropped_anew_under_bypass_is_sent_again():
    again = a_file(modified=MODIFIED + timedelta(hours=1))
    assert shape(decided([again], [an_entry(remove_source=True)], bypass=True)) == {"rearm": ["a.csv"]}


def test_r5_6_bypass_sends_what_was_delivered_without_bypass_and_still_waits():
    assert shape(decided([a_file()], [an_entry(remove_source=False)], bypass=True)) == {"rearm": ["a.csv"]}


def test_r5_7_one_content_under_two_names_is_sent_once_and_the_second_name_is_kept():
    intake = decided([a_file("a.csv"), a_file("b.csv")], [])
    assert shape(intake) == {"add": ["a.csv"]}
    assert intake.add[0].duplicates == {"b.csv"}


def test_r5_7_the_name_that_the_ledger_knows_comes_first():
    entry = an_entry(a_file("b.csv"), status=Status.PROCESSING, open=True)
    intake = decided([a_file("a.csv"), a_file("b.csv")], [entry])
    assert shape(intake) == {"resume": ["b.csv"]}
    assert intake.resume[0].duplicates == {"a.csv"}


def test_r5_7_content_sent_under_another_name_is_a_duplicate_to_report():
    assert shape(decided([a_file("b.csv")], [an_entry()])) == {"duplicates": ["b.csv"]}


def test_r5_7_a_duplicate_that_was_reported_is_only_removed():
    assert shape(decided([a_file("b.csv")], [an_entry(duplicate_names=frozenset({"b.csv"}))])) == {"remove": ["b.csv"]}


def test_r5_7_content_and_name_delivers_both():
    intake = decided([a_file("a.csv"), a_file("b.csv")], [], dedupe_by="content_and_name")
    assert shape(intake) == {"add": ["a.csv", "b.csv"]}


def test_r9_1_a_file_pattern_leaves_the_rest_alone():
    intake = decided([a_file("a.csv"), a_file("b.txt", "etag-b")], [], file_pattern="*.csv")
    assert shape(intake) == {"add": ["a.csv"]}
    assert not intake.complete


def test_a_task_tried_again_leaves_what_it_dealt_with_alone():
    for status in (Status.SUCCESS, Status.FAIL):
        entry = an_entry(status=status, active=True, owned_by=RUN, open=False)
        assert shape(decided([a_file()], [entry], bypass=True)) == {}


def test_nothing_waits_and_nothing_is_open_is_idle():
    assert decided([], []).idle
