"""What has changed since the last report, by more than its range: a guard against slow creep."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """One measured figure of one contender: the median and the range of its rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Figure:
        """Of the rounds' values."""
        return cls(statistics.median(values), min(values), max(values))

    def outside(self, other: Figure) -> bool:
        """Whether the two are apart: neither median lies within the range of the other."""
        return not (other.least <= self.median <= other.most) and not (self.least <= other.median <= self.most)


def figures(case: Mapping[str, Any], name: str) -> dict[str, Figure]:
    """What is compared of a contender: seconds, CPU and memory, for the files that it got."""
    runs, files = case["runs"][name], case["files"][name]
    return {
        "seconds a file": Figure.of([run["seconds"] / files for run in runs]),
        "CPU seconds a file": Figure.of([run["cpu"] / files for run in runs]),
        "peak memory": Figure.of([float(run["rss"]) for run in runs]),
    }


def against(case: Mapping[str, Any], peer: str) -> Figure:
    """The engine's time for a file over a peer's, round by round."""
    ours, theirs = case["runs"]["engine"], case["runs"][peer]
    scale = case["files"][peer] / case["files"]["engine"]
    return Figure.of([a["seconds"] / b["seconds"] * scale for a, b in zip(ours, theirs, strict=False)])


def changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """One line for each figure that is apart from the last report's.

    A noisy or another machine changes everybody's figures. What it does not change is the engine's time over a peer's,
    round by round: those lines come first.
    """
    lines = []
    for case in (case for case in now if case in before):
        for peer in (name for name in now[case]["runs"] if name != "engine" and before[case]["runs"].get(name)):
            if "engine" not in now[case]["runs"] or not before[case]["runs"].get("engine"):
                continue
            found, earlier = against(now[case], peer), against(before[case], peer)
            if found.outside(earlier):
                verdict = "worse" if found.median > earlier.median else "better"
                lines.append(
                    f"{case}: the engine takes {found.median:.2f} of the time of {peer}, "
                    f"in the last report {earlier.median:.2f}: {verdict}"
                )
    for case in (case for case in now if case in before):
        for name in (name for name in now[case]["runs"] if before[case]["runs"].get(name)):
            earlier = figures(before[case], name)
            for what, figure in figures(now[case], name).items():
                if figure.outside(earlier[what]):
                    times = figure.median / earlier[what].median if earlier[what].median else float("inf")
                    verdict = "worse" if times > 1 else "better"
                    lines.append(f"{case}: {name}: {what} is {times:.2f}× that of the last report: {verdict}")
    return lines
