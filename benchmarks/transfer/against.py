"""This engine against that of another checkout, in turn within one run: what a change costs or gains.

    python -m benchmarks.transfer.against CHECKOUT [--case NAME …] [--rounds N]

Both run under this interpreter, against the same servers, in the same round; who begins alternates. Every byte that is
delivered is compared. The ratios are medians of those within the rounds: on a noisy machine only they compare, and of
them those of the CPU time most. Make the other checkout with ``git worktree add CHECKOUT COMMIT``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.transfer.cases import CASES, Case
from benchmarks.transfer.meter import Measured
from benchmarks.transfer.site import SOURCE, Site

_BY_NAME = {case.name: case for case in CASES}
_MORE = (
    replace(
        _BY_NAME["sftp-500"],
        name="sftp-500-30ms",
        title="S3 → SFTP (OpenSSH), 500 files of 100 KiB, 30 ms round trip",
        model={"rtt": 0.03},
    ),
    replace(
        _BY_NAME["s3-stream-1g"],
        name="s3-stream-500",
        title="S3 → S3 streamed, 500 files of 100 KiB",
        files=500,
        size=100 * 1024,
    ),
)
_CASES = _BY_NAME | {case.name: case for case in _MORE}
_CHOSEN = ("sftp-1g", "sftp-500", "sftp-1g-30ms", "sftp-500-30ms")


def measure(case: Case, checkout: Path, rounds: int, directory: Path) -> tuple[list[Measured], list[Measured]]:
    """What the other checkout's engine needed, and what this one's, round by round."""
    files = [{"bucket": SOURCE, "key": f"file-{n:05d}.bin", "size": case.size} for n in range(case.files)]
    before: list[Measured] = []
    after: list[Measured] = []
    # Without the safe path the working directory's modules would come before the checkout's.
    other = {"PYTHONPATH": f"{checkout / 'plugins'}:{checkout}", "PYTHONSAFEPATH": "1"}
    sides: list[tuple[str, Mapping[str, str], list[Measured]]] = [("before", other, before), ("after", {}, after)]
    with Site(directory / case.name, case.kind, files, case.model) as site:
        for number in range(rounds):
            for name, environment, found in sides if number % 2 else reversed(sides):
                site.environment = dict(environment)
                run = f"run-{number}-{name}"
                site.prepare(run)
                found.append(case.contenders["engine"](site, run, files))
                site.verify(run, files)
            print(
                f"{case.name:16} round {number + 1}: {before[-1].seconds:6.2f} → {after[-1].seconds:6.2f} s, "
                f"CPU {before[-1].cpu:5.2f} → {after[-1].cpu:5.2f} s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    return before, after


def row(case: Case, before: list[Measured], after: list[Measured], load: float) -> str:
    """One line of the table."""

    def median(found: list[Measured], of: Callable[[Measured], float]) -> float:
        return statistics.median(of(one) for one in found)

    def ratio(of: Callable[[Measured], float]) -> str:
        ratios = sorted(of(new) / of(old) for old, new in zip(before, after, strict=True))
        return f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}–{ratios[-1]:.2f}]"

    def both(of: Callable[[Measured], float]) -> str:
        return f"{median(before, of):.2f} → {median(after, of):.2f}"

    return (
        f"| {case.title} | {both(lambda one: one.seconds)} | {ratio(lambda one: one.seconds)} "
        f"| {both(lambda one: one.cpu)} | {ratio(lambda one: one.cpu)} "
        f"| {both(lambda one: one.rss / 2**20)} | {len(before)} | {load:.0f} |"
    )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--case", action="append", choices=sorted(_CASES))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    memory = Path("/dev/shm")  # the destination's disk is not what is measured
    lines = [
        "| | seconds | after / before | CPU seconds | after / before | peak RSS, MiB | rounds | load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="against-", dir=memory if memory.is_dir() else None) as directory:
        for name in arguments.case or _CHOSEN:
            before, after = measure(_CASES[name], arguments.checkout.resolve(), arguments.rounds, Path(directory))
            lines.append(row(_CASES[name], before, after, os.getloadavg()[1]))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
