"""What a run would do with each waiting file, and why (R9.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from client_delivery.ledger.aliases import covered_name
from client_delivery.ledger.entry import Status, Wish
from client_delivery.run import plan as planning
from client_delivery.run.plan import Fate, Planned, plan
from client_delivery.run.plan_report import SHOWN, PlanReport
from tests.support.factories import MODIFIED, a_file, an_entry
from tests.support.offline import MemoryLedger, a_config, a_run
from tests.unit.pickup.s3_refusing import S3

FAILED = {"status": Status.FAIL, "last_error": "The partner's disk is full."}
WISH = Wish("2026-03-02T08:00:00.000Z", "manual__x", by="jane")
UNDER_WAY = {"status": Status.PROCESSING, "open": True}


@pytest.fixture
def s3() -> S3:
    return S3()


def planned(s3: S3, *entries: Any, form: dict[str, Any] | None = None, **config: Any) -> dict[str, Planned]:
    """By name."""
    client = a_config(**config)
    keeps = SimpleNamespace(keeps=client.after_delivery == "keep")
    ledger = MemoryLedger(*entries)
    run = a_run(client, form=form, ledger=ledger, source_s3=s3, disposal=keeps, history=None)
    found = list(plan(run))
    assert len({one.name for one in found}) == len(found), "each file has one fate"
    return {one.name: one for one in found}


def put(s3: S3, *names: str, etag: str = "etag-a", **head: Any) -> None:
    for name in names:
        s3.put(f"in/{name}", ETag=f'"{etag}"', **head)


def told(one: Planned) -> tuple[Fate, str]:
    return one.fate, one.why


def test_a_new_file_is_sent_and_each_other_of_its_content_is_removed(s3):
    put(s3, "a.csv", "b.csv")
    found = planned(s3)
    assert told(found["a.csv"]) == (Fate.SEND, "new: this content was never sent to this client")
    assert told(found["b.csv"]) == (Fate.REMOVED, "the same content as a.csv, which is sent")
    assert planned(s3, after_delivery="keep")["b.csv"].fate is Fate.LEFT


def test_what_an_earlier_run_began_goes_on(s3):
    put(s3, "a.csv")
    begun = an_entry(**UNDER_WAY, send_attempts=2)
    (one,) = planned(s3, begun).values()
    assert one.fate is Fate.SEND
    assert one.why == "started by the run scheduled__2026-03-01T11:45:00+00:00, after 2 failed attempts; it continues"


def test_what_an_earlier_run_began_is_in_the_plan_though_it_no_longer_waits(s3):
    """The attempt will find out, and say so."""
    assert planned(s3, an_entry(**UNDER_WAY))["a.csv"].fate is Fate.SEND


def test_what_failed_is_held_until_it_is_asked_for(s3):
    put(s3, "a.csv")
    failed = an_entry(**FAILED)
    past = "failed before, on 2026-03-01 12:00 in the run scheduled__2026-03-01T11:45:00+00:00: The partner's disk is"
    (held,) = planned(s3, failed).values()
    assert told(held) == (Fate.HELD, f"{past} full.; 'Resend failed files' sends it")
    (again,) = planned(s3, failed, form={"resend_failed": True}).values()
    assert told(again) == (Fate.SEND, f"{past} full.; asked for again, or dropped again since")


def test_what_was_sent_before_is_removed_or_sent_again_under_bypass(s3):
    put(s3, "a.csv")
    past = "sent before as a.csv, on 2026-03-01 12:00 by the run scheduled__2026-03-01T11:45:00+00:00"
    assert told(planned(s3, an_entry())["a.csv"]) == (Fate.REMOVED, past)
    (again,) = planned(s3, an_entry(), form={"bypass_file_checks": True}).values()
    assert told(again) == (Fate.SEND, f"{past}; sent again, because the file checks are bypassed")


def test_what_was_sent_before_and_is_kept_is_left(s3):
    put(s3, "a.csv")
    (one,) = planned(s3, an_entry(), after_delivery="keep").values()
    assert told(one) == (Fate.LEFT, "delivered already, and after_delivery leaves it there")


def test_a_file_that_a_person_has_given_up_is_not_called_delivered(s3):
    put(s3, "a.csv")
    (one,) = planned(s3, an_entry(**FAILED, dismissed=WISH)).values()
    assert one.fate is Fate.LEFT
    assert one.why.startswith("failed before, on 2026-03-01 12:00")
    assert one.why.endswith("dismissed since: it is sent if somebody drops it again")


def test_what_was_asked_for_while_it_was_gone_goes_under_the_name_that_the_recipient_knows(s3):
    """Whatever it is called now that somebody has dropped it again."""
    put(s3, "dropped-again.csv")
    (one,) = planned(s3, an_entry(wanted=WISH)).values()
    assert (one.name, one.fate, one.arrives_as) == ("dropped-again.csv", Fate.SEND, "a.csv")
    assert one.why.endswith("; asked for again while it was gone, and dropped again since")


def test_a_guard_holds_a_file_with_every_other_of_its_content(s3):
    put(s3, "a.csv", "b.csv", ContentLength=0)
    found = planned(s3, guards={"not_empty": True})
    assert found["a.csv"].fate is Fate.HELD
    assert "the file is empty (guards.not_empty)" in found["a.csv"].why
    assert told(found["b.csv"]) == (Fate.HELD, "the same content as a.csv, which is held")


def test_a_file_that_may_still_be_written_is_left(s3):
    put(s3, "growing.csv", etag="etag-b", LastModified=datetime.now(UTC) - timedelta(seconds=5))
    put(s3, "a.csv")
    found = planned(s3, guards={"stable_for": "5 min"})
    assert found["a.csv"].fate is Fate.SEND
    assert found["growing.csv"].fate is Fate.LEFT
    assert "somebody may still be writing it (guards.stable_for)" in found["growing.csv"].why


def test_without_the_done_file_files_wait_for_it_by_name(s3):
    put(s3, "a.csv")
    (one,) = planned(s3, trigger_on_done_file=True).values()
    assert told(one) == (Fate.LEFT, "waits for the done file in/H1234.done")


def test_what_patterns_leave_out_says_whose_pattern(s3):
    put(s3, "a.csv")
    put(s3, "b.txt", etag="etag-b")
    found = planned(s3, form={"file_pattern": "x*"}, pickup={"bucket": "pickup", "prefix": "in/", "include": ["*.csv"]})
    assert told(found["a.csv"]) == (Fate.LEFT, "the form's pattern leaves it out")
    assert told(found["b.txt"]) == (Fate.LEFT, "the configuration's include and exclude patterns leave it out")


def test_more_files_than_fit_into_a_page_are_all_in_the_plan(s3, monkeypatch):
    monkeypatch.setattr(planning, "_PAGE", 2)
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        put(s3, name, etag=f"etag-{name}")
    assert sorted(planned(s3)) == names


@pytest.mark.parametrize("name", ["Übersicht \\n.csv", "a\\u0041.csv", "報告.csv"])
def test_a_strange_name_comes_out_as_it_went_in(s3, name):
    put(s3, name)
    found = planned(s3, form={"file_pattern": "nothing"})
    assert told(found[name]) == (Fate.LEFT, "the form's pattern leaves it out")


def test_a_name_noted_as_covered_is_a_duplicate_of_what_was_sent(s3):
    put(s3, "b.csv")
    later = covered_name("etag-a", a_file("b.csv", modified=MODIFIED))
    run = a_run(ledger=MemoryLedger(an_entry(), aliases=[later]), source_s3=s3, disposal=SimpleNamespace(keeps=False))
    (one,) = plan(run)
    assert one.fate is Fate.REMOVED


def test_a_report_keeps_a_thousand_files_of_a_million_those_that_are_sent_first():
    found = [Planned(f"{n:04}.csv", 1, Fate.LEFT, "left") for n in range(1500)]
    report = PlanReport.of([*found, *(Planned(f"{n}.dat", 2, Fate.SEND, "new") for n in range(600))])
    kept = [one.fate for one in report.first]
    assert kept == [Fate.SEND] * 600 + [Fate.LEFT] * 400
    assert report.summary == ("2,100 files wait: 600 send, 1,500 left. 1.2 KiB would be sent. Nothing was changed.")


def test_a_report_counts_what_it_does_not_show():
    found = [Planned(f"{n:04}.csv", 1, Fate.SEND, "new") for n in range(SHOWN + 7)]
    lines = list(PlanReport.of(found).lines())
    assert lines[-1] == "  and 7 more"
    assert len(lines) == 1 + SHOWN + 1
    assert not any("more" in line for line in PlanReport.of(found[:SHOWN]).lines())
