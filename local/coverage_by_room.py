"""Lines and branches of the core that tests reach, room by room; fails if too few branches are.

    python -m local.coverage_by_room REPORT --branches PERCENT

REPORT is what ``coverage json`` writes. coverage.py's own gate (``fail_under``) counts lines and branches together, so
that many lines hide few branches.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_COUNTS = ("covered_lines", "num_statements", "covered_branches", "num_branches")


def by_room(report: dict[str, Any]) -> dict[str, Counter[str]]:
    """The counts of each folder of the package, and of all together."""
    rooms: dict[str, Counter[str]] = {}
    for name, facts in report["files"].items():
        room = Path(name).parts[2]
        for counted in (room, "together"):
            rooms.setdefault(counted, Counter()).update({count: facts["summary"][count] for count in _COUNTS})
    rooms["together"] = rooms.pop("together")
    return rooms


def main() -> None:
    """Print the table; ends with 1 below the gate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--branches", type=float, required=True, help="the least share of branches, in percent")
    arguments = parser.parse_args()
    rooms = by_room(json.loads(arguments.report.read_text()))
    share = 0.0
    for room, counts in rooms.items():
        lines = 100 * counts["covered_lines"] / counts["num_statements"]
        share = 100 * counts["covered_branches"] / max(1, counts["num_branches"])
        print(f"{room:10} lines {lines:5.1f} %, branches {share:5.1f} % of {counts['num_branches']:,}")
    if share < arguments.branches:
        sys.exit(f"Tests reach {share:.1f} % of the core's branches; the gate is {arguments.branches:g} %.")


if __name__ == "__main__":
    main()
