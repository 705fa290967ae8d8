"""Acknowledgements: what they are called, and that no name, whoever chose it, makes one file's fit another's."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_delivery.config import check
from client_delivery.config.acknowledgement import Acknowledgement
from client_delivery.config.describe import describe


def awaited(pattern: str, delivered: str = "in/Claims.csv.gz.pgp", plain: str | None = None):
    section = Acknowledgement.model_validate({"pattern": pattern})
    return section.awaited(client="H1234", feed="claims", delivered=delivered, plain=plain or "in/Claims.csv")


@pytest.mark.parametrize(
    ("pattern", "called"),
    [
        ("{delivered}.ack", "in/Claims.csv.gz.pgp.ack"),
        ("acks/{delivered}.ok", "acks/in/Claims.csv.gz.pgp.ok"),
        ("{stem}.ack", "Claims.ack"),
        ("{folder}{name}.ack", "in/Claims.csv.ack"),
        ("{client}_{feed}_{stem:upper}{ext:upper}", "H1234_claims_CLAIMS.CSV"),
    ],
)
def test_fields_are_filled_in(pattern, called):
    one = awaited(pattern)
    assert (one.directory + one.begins, one.rest, one.words) == (called, None, called)
    base = called.rpartition("/")[2]
    assert one.is_called(base)
    assert not one.is_called(base + "x")
    assert not one.is_called("x" + base)


@pytest.mark.parametrize(
    ("pattern", "fits", "not_fits"),
    [
        ("acks/{stem}*.ack", ["Claims.ack", "Claims_2.ack"], ["Claim.ack", "Claims.ack.tmp", "xClaims.ack"]),
        ("ACK_*_{stem}.txt", ["ACK_1_Claims.txt", "ACK__Claims.txt"], ["ACK_Claims.txt", "ACK_1_claims.txt"]),
        ("{stem}.?ck", ["Claims.ack", "Claims.*ck"], ["Claims.ck", "Claims.aack"]),
        ("{stem}*?", ["Claims.ack", "Claims!"], ["Claims"]),
    ],
)
def test_wildcards_stand_for_characters_of_one_name(pattern, fits, not_fits):
    one = awaited(pattern)
    assert one.rest is not None
    assert [name for name in (*fits, *not_fits) if one.is_called(name)] == fits
    assert not any(one.is_called(name.replace("s", "s/", 1)) for name in fits)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=40))
def test_whatever_is_in_a_name_stands_for_itself(name):
    for pattern, made in (("{delivered}.ack", f"{name}.ack"), ("x?{name}", f"xy{name}"), ("*{name}", name)):
        one = awaited(pattern, delivered=name, plain=name)
        assert one.is_called(made)
        assert not one.is_called(made + ("y" if made.endswith("z") else "z"))
        if "*" in name or "?" in name:
            assert not one.is_called(made.replace("*", "star").replace("?", "q"))


def test_no_name_keeps_a_run_busy():
    one = awaited("{stem}*a*a*", plain="a" * 200)
    began = time.perf_counter()
    assert not one.is_called("a" * 201 + "/")
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("done.ack", "{delivered}, {name} or {stem} in it"),
        ("{client}*.ack", "{delivered}, {name} or {stem} in it"),
        ("acks*/{name}.ack", "in the last part of the name"),
        ("*/{name}.ack", "in the last part of the name"),
        ("*{delivered}", "{delivered} before any"),
        ("*_{folder}{name}", "{folder} before any"),
        ("{name}*?*?", "at most 3"),
        ("../{name}.ack", "below the destination"),
        ("/acks/{name}.ack", "below the destination"),
        ("{sequence}", "fields of this set"),
        ("{name!r}", "without '!'"),
        ("{name:%Y}", "upper or lower"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused(pattern, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Acknowledgement.model_validate({"pattern": pattern})


@pytest.mark.parametrize(
    ("within", "minutes"), [("90 min", 90), ("24h", 1440), ("24 h", 1440), ("3 days", 4320), ("1 day", 1440)]
)
def test_times_have_units_and_are_written_so_that_they_are_read_again(within, minutes):
    section = Acknowledgement.model_validate({"pattern": "{name}.ok", "within": within})
    assert section.within.total_seconds() == 60 * minutes
    assert Acknowledgement.model_validate_json(section.model_dump_json()) == section


@pytest.mark.parametrize("within", [24, "24", "31 days", "0 h", "30 s", "-1 h", "1.5 h"])
def test_other_times_are_refused(within):
    with pytest.raises(ValueError, match=r"unit|1 min to 30 days"):
        Acknowledgement.model_validate({"pattern": "{name}.ok", "within": within})


@pytest.mark.parametrize("place", ["../up", "a//b", "a/../b", "/", "a\nb"])
def test_a_place_that_leads_elsewhere_is_refused(place):
    with pytest.raises(ValueError, match="a directory, or a prefix"):
        Acknowledgement.model_validate({"pattern": "{name}.ok", "place": place})


def test_people_see_how_it_was_understood(text, load):
    config = load(
        text(
            "s3", {"acknowledgement": '{pattern: "acks/{stem}*.ack", place: out/, within: 90 min}', "compress": "gzip"}
        )
    )
    assert check.acknowledged(config) == ["acme: awaits 'acks/example*.ack' in out/ for 'example.csv', within 90 min"]
    assert "Acknowledged by" in describe(config)


def test_only_runs_by_the_clock_notice_that_it_has_not_come(text, load):
    with pytest.raises(Exception, match=r"acknowledgement: .*expected a `schedule` with it"):
        load(text("s3", {"acknowledgement": '{pattern: "{name}.ok"}', "schedule": "null"}))
