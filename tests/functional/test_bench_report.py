"""`make bench` says who ran and what has changed since the last report by more than its range."""

from __future__ import annotations

import json

import pytest

from benchmarks.transfer import report, versions
from benchmarks.transfer.cases import CASES
from benchmarks.transfer.compared import changes


def measured(*seconds: float, cpu: float = 1.0, rss: int = 100, name: str = "engine") -> dict:
    return {"files": {name: 1}, "runs": {name: [{"seconds": one, "cpu": cpu, "rss": rss} for one in seconds]}}


def test_what_is_within_the_range_is_no_change():
    assert changes({"gcs-1g": measured(1.0, 1.1, 1.3)}, {"gcs-1g": measured(0.9, 1.0, 1.2)}) == []


def test_what_is_apart_is_named_with_case_contender_and_direction():
    slower = changes({"gcs-1g": measured(2.0, 2.1, 2.2)}, {"gcs-1g": measured(0.9, 1.0, 1.1)})
    (line,) = slower
    assert line.startswith("gcs-1g: engine: seconds a file is 2.10")
    assert line.endswith(": worse")
    (leaner,) = changes({"x": measured(1.0, rss=50)}, {"x": measured(1.0, rss=100)})
    assert leaner.startswith("x: engine: peak memory is 0.50")
    assert leaner.endswith(": better")


def test_a_slower_machine_is_told_from_a_slower_engine():
    def both(ours: float, theirs: float) -> dict:
        engine, peer = measured(ours, ours), measured(theirs, theirs, name="rclone")
        return {"x": {part: engine[part] | peer[part] for part in ("files", "runs")}}

    machine = changes(both(2.0, 4.0), both(1.0, 2.0))
    assert not any("takes" in line for line in machine)
    assert len(machine) == 2
    engine = changes(both(2.0, 2.0), both(1.0, 2.0))
    assert engine[0] == "x: the engine takes 1.00 of the time of rclone, in the last report 0.50: worse"


def test_a_case_or_contender_that_was_never_measured_is_no_change():
    assert changes({"new": measured(1.0)}, {}) == []
    assert changes({"x": measured(1.0)}, {"x": measured(9.0, name="rclone")}) == []


def test_the_pinned_rclone_is_taken_whatever_is_on_the_path(tmp_path, monkeypatch):
    other = tmp_path / "rclone"
    other.write_text("#!/bin/sh\necho rclone v0.0-other\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert versions.pinned_rclone() != other
    assert "other" not in versions.versions()["rclone"]
    monkeypatch.setattr(versions, "RCLONE", tmp_path / "none")
    with pytest.raises(RuntimeError, match="make setup"):
        versions.pinned_rclone()


def test_every_contender_has_a_version_and_the_report_shows_them(tmp_path, monkeypatch, capsys):
    said = versions.versions()
    contenders = {name for case in CASES for name in case.contenders}
    assert {name for name in contenders if not any(name.startswith(known) for known in said)} == set()
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    case = next(case for case in CASES if case.name == "gcs-1g")

    def result(seconds: float) -> report.CaseResult:
        runs = {name: [{"seconds": seconds, "cpu": 1.0, "rss": 1}] for name in case.contenders}
        return report.CaseResult(case, runs, dict.fromkeys(runs, 1))

    report.write([result(1.0)])
    assert "Nothing has changed" in (tmp_path / "transfer.md").read_text()
    report.write([result(3.0)])
    text = (tmp_path / "transfer.md").read_text()
    assert said["rclone"] in text
    assert [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")] == []
    assert "gcs-1g: engine: seconds a file is 3.00" in text
    assert json.loads((tmp_path / "transfer.json").read_text())["gcs-1g"]["versions"] == said
