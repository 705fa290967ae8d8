"""The transfer engine against its peers, side by side and in turn.

    python -m benchmarks.transfer [--case NAME …] [--rounds N]

Every case starts its own servers; every round runs each contender once, in turn, into a place of its own; every byte
delivered is compared. What is reported are medians over the rounds with their ranges, and for each peer the median of
the ratios within the rounds: on a noisy machine only those compare.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.transfer.cases import CASES, Case
from benchmarks.transfer.meter import Measured
from benchmarks.transfer.report import CaseResult, write
from benchmarks.transfer.site import SOURCE, Site


def run_case(case: Case, rounds: int, directory: Path) -> CaseResult:
    """Measure one case."""
    files = [{"bucket": SOURCE, "key": f"file-{n:05d}.bin", "size": case.size} for n in range(case.files)]
    results: dict[str, list[Measured]] = {name: [] for name in case.contenders}
    counts: dict[str, int] = {}
    with Site(directory / case.name, case.kind, files, case.model) as site:
        for number in range(rounds):
            for name, contender in case.contenders.items():
                if number >= case.rounds_of.get(name, rounds):
                    continue
                # A contender that takes minutes for all files gets some of them; files/s tell the same.
                some = files[: case.files_of.get(name, case.files)]
                counts[name] = len(some)
                run = f"run-{number}-{re.sub(r'[^a-z]+', '-', name)}"
                site.prepare(run)
                measured = contender(site, run, some)
                site.verify(run, some)
                results[name].append(measured)
                print(
                    f"{case.name:24} {name:22} {sum(file['size'] for file in some) / measured.seconds / 1e6:8.0f} MB/s "
                    f"{len(some) / measured.seconds:7.1f} files/s  cpu {measured.cpu:6.2f} s  "
                    f"rss {measured.rss / 2**20:5.0f} MiB",
                    flush=True,
                )
    return CaseResult(case, {name: [asdict(one) for one in found] for name, found in results.items()}, counts)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    chosen = [case for case in CASES if not arguments.case or case.name in arguments.case]
    memory = Path("/dev/shm")  # the destination's disk is not what is measured
    with tempfile.TemporaryDirectory(prefix="bench-", dir=memory if memory.is_dir() else None) as directory:
        results: list[Any] = [run_case(case, min(arguments.rounds, case.rounds), Path(directory)) for case in chosen]
    missed = write(results)
    sys.exit(1 if missed and not arguments.case else 0)


if __name__ == "__main__":
    main()
