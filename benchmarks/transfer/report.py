"""What was measured, for readers: a table and a chart below benchmarks/results/, and the numbers as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.transfer.cases import CASES, GIB, Case
from benchmarks.transfer.compared import changes
from benchmarks.transfer.versions import versions

RESULTS = Path(__file__).resolve().parents[1] / "results"
_COLOURS = {"engine": "#1b7f5c", "stock operator": "#b8433a", "rclone": "#3f6fb5"}


@dataclass(frozen=True)
class CaseResult:
    """A case's measurements, by contender."""

    case: Case
    runs: dict[str, list[dict[str, Any]]]
    files: dict[str, int]

    def speeds(self, name: str) -> list[float]:
        """Bytes per second, or files per second where there are many."""
        amount = self.files[name] * (1 if self.case.files > 1 else self.case.size)
        return [amount / run["seconds"] for run in self.runs[name]]

    def cpu(self, name: str) -> list[float]:
        """CPU seconds per GiB."""
        return [run["cpu"] * GIB / (self.files[name] * self.case.size) for run in self.runs[name]]

    def rss(self, name: str) -> list[float]:
        """Peak memory, bytes."""
        return [float(run["rss"]) for run in self.runs[name]]

    def ratio(self, peer: str, values: Callable[[str], list[float]]) -> float:
        """The median of the engine's value over the peer's, round by round."""
        return statistics.median(ours / theirs for ours, theirs in zip(values("engine"), values(peer), strict=False))


def write(results: list[CaseResult]) -> list[str]:
    """Write the report; returns the targets that were missed."""
    RESULTS.mkdir(exist_ok=True)
    before = _last_report()
    measured = {result.case.name for result in results}
    who, today = versions(), f"{datetime.now(UTC):%Y-%m-%d}"
    results = _with_earlier(results, before)
    missed: list[str] = []
    lines = [
        "# The transfer engine against its peers",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}.",
        "Medians [range]; ratios are medians of the ratios within the rounds.",
        "",
        "![Chart](transfer.svg)",
        "",
        "| Contender | Version |",
        "|---|---|",
        *(f"| {_cell(name)} | {_cell(said)} |" for name, said in who.items()),
    ]
    for result in results:
        lines += ["", f"## {result.case.title}", "", _table(result), ""]
        for target in result.case.targets:
            for what, wanted, found, reached in _judged(result, target):
                mark = "reached" if reached else "**missed**"
                lines.append(f"- {what} against {target.peer}: wanted {wanted}, found {found}: {mark}")
                if not reached:
                    missed.append(f"{result.case.name}: {what} against {target.peer}: {wanted}, found {found}")
    numbers: dict[str, Any] = {
        result.case.name: {"files": result.files, "runs": result.runs}
        | ({"measured": today, "versions": who} if result.case.name in measured else _facts(before, result.case.name))
        for result in results
    }
    changed = changes({name: case for name, case in numbers.items() if name in measured}, before)
    lines += ["", "## Since the last report", ""]
    lines += [f"- {line}" for line in changed] or ["Nothing has changed by more than its range."]
    days: dict[str, list[str]] = {}
    for name, case in numbers.items():
        days.setdefault(case.get("measured", "before 2026-11-26"), []).append(name)
    lines += ["", "| Measured | Cases |", "|---|---|"]
    lines += [f"| {day} | {', '.join(names)} |" for day, names in sorted(days.items())]
    (RESULTS / "transfer.md").write_text("\n".join(lines) + "\n")
    (RESULTS / "transfer.svg").write_text(_chart(results))
    (RESULTS / "transfer.json").write_text(json.dumps(numbers, indent=1) + "\n")
    print("\n".join(lines))
    for line in missed:
        print("MISSED", line)
    return missed


def _last_report() -> dict[str, Any]:
    """What was measured last, by case."""
    file = RESULTS / "transfer.json"
    kept: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return kept


def _facts(report: dict[str, Any], case: str) -> dict[str, Any]:
    return {name: report[case][name] for name in ("measured", "versions") if name in report.get(case, {})}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _with_earlier(results: list[CaseResult], kept: dict[str, Any]) -> list[CaseResult]:
    """The cases that were not measured this time keep what was measured last."""
    now = {result.case.name: result for result in results}
    return [
        now.get(case.name) or CaseResult(case, kept[case.name]["runs"], kept[case.name]["files"])
        for case in CASES
        if case.name in now or case.name in kept
    ]


def _judged(result: CaseResult, target: Any) -> list[tuple[str, str, str, bool]]:
    found = []
    for what, wanted, values, least in (
        ("speed", target.speed, result.speeds, True),
        ("CPU", target.cpu, result.cpu, False),
        ("memory", target.rss, result.rss, False),
    ):
        if wanted is not None:
            ratio = result.ratio(target.peer, values)
            sign = "≥" if least else "≤"
            reached = ratio >= wanted if least else ratio <= wanted
            found.append((what, f"{sign} {wanted:.2g}×", f"{ratio:.2f}×", reached))
    return found


def _table(result: CaseResult) -> str:
    unit, scale = ("files/s", 1.0) if result.case.files > 1 else ("MB/s", 1e6)
    rows = [f"| | {unit} | engine is | CPU s/GiB | peak RSS, MiB | runs |", "|---|---|---|---|---|---|"]
    for name, runs in result.runs.items():
        ratio = "" if name == "engine" else f"{result.ratio(name, result.speeds):.1f}×"
        speed = _shown([value / scale for value in result.speeds(name)])
        memory = _shown([value / 2**20 for value in result.rss(name)])
        rows.append(f"| {_cell(name)} | {speed} | {ratio} | {_shown(result.cpu(name), 2)} | {memory} | {len(runs)} |")
    return "\n".join(rows)


def _shown(values: list[float], digits: int = 0) -> str:
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} [{min(values):,.{digits}f}–{max(values):,.{digits}f}]"


def _chart(results: list[CaseResult]) -> str:
    """Bars of each contender's speed, as a share of the fastest in its case."""
    rows: list[str] = []
    top = 20
    for result in results:
        rows.append(f'<text x="10" y="{top + 12}" font-weight="bold">{result.case.title}</text>')
        top += 22
        speeds = {name: statistics.median(result.speeds(name)) for name in result.runs}
        unit, scale = ("files/s", 1.0) if result.case.files > 1 else ("MB/s", 1e6)
        for name, speed in speeds.items():
            width = 480 * speed / max(speeds.values())
            colour = _COLOURS.get(name, "#999999")
            rows.append(f'<text x="20" y="{top + 12}">{name}</text>')
            rows.append(f'<rect x="130" y="{top + 1}" width="{max(width, 1):.0f}" height="14" fill="{colour}"/>')
            rows.append(f'<text x="{136 + width:.0f}" y="{top + 12}">{speed / scale:,.0f} {unit}</text>')
            top += 18
        top += 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{top}" font-family="sans-serif" font-size="12">'
        f'<rect width="760" height="{top}" fill="white"/>{"".join(rows)}</svg>\n'
    )
