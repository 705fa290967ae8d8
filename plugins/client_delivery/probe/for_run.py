"""A test of the destination by a run: as deliveries would use it, from the worker's own address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.probe.report import as_text, verdict
from client_delivery.probe.trial import Found, Report, Wanted, try_destination

if TYPE_CHECKING:
    from client_delivery.run.context import Run


def tested_destination(run: Run) -> Report:
    """Test the destination and note the result on the board. Nothing is delivered."""

    def credential(connection_id: str) -> Found:
        return Found(run.secret_of(connection_id), "an Airflow connection")

    report = try_destination(run.config, credential, gcs_endpoint=run.settings.gcs_endpoint, wanted=Wanted())
    told = verdict(report)
    run.log_event("destination_tested", good=report.good, verdict=told, left=report.found.left or None)
    name, owner = run.config.name, run.owner.run_id
    run.note_on_board(lambda board: board.tested(name, run.facts, verdict=told, good=report.good, run=owner))
    return report


def in_lines(report: Report) -> list[str]:
    """The table, for a task's log."""
    return as_text(report).rstrip().splitlines()
