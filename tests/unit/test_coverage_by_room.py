"""The gate on branches: many covered lines do not make up for few branches."""

from __future__ import annotations

import json
import sys

import pytest

from local.coverage_by_room import main


def summary(lines: int, branches: int) -> dict[str, dict[str, int]]:
    counts = {"covered_lines": lines, "num_statements": 100, "covered_branches": branches, "num_branches": 10}
    return {"summary": counts}


@pytest.mark.parametrize(("gate", "passes"), [(70, True), (75.1, False)])
def test_the_core_must_reach_the_gate_all_rooms_together(tmp_path, monkeypatch, capsys, gate, passes):
    files = {
        "plugins/client_delivery/config/a.py": summary(100, 10),
        "plugins/client_delivery/run/b.py": summary(100, 5),
        "plugins/client_delivery/run/c/d.py": summary(98, 6),
        "plugins/client_delivery/ledger/e.py": summary(99, 9),
    }
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"files": files}))
    monkeypatch.setattr(sys, "argv", ["coverage_by_room", str(report), f"--branches={gate}"])
    if passes:
        main()
    else:
        with pytest.raises(SystemExit, match=r"reach 75\.0 % of the core's branches; the gate is 75\.1 %"):
            main()
    assert capsys.readouterr().out.splitlines() == [
        "config     lines 100.0 %, branches 100.0 % of 10",
        "run        lines  99.0 %, branches  55.0 % of 20",
        "ledger     lines  99.0 %, branches  90.0 % of 10",
        "together   lines  99.2 %, branches  75.0 % of 40",
    ]
