"""A run's first steps: whether it may start at all, the health check (R4.2), and the first look for work (R4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from client_delivery.run.again import dismiss
from client_delivery.run.detection import check_form, detect
from client_delivery.run.errors import CannotGoOn
from client_delivery.run.health import take_stock

if TYPE_CHECKING:
    from client_delivery.pickup.survey import Findings
    from client_delivery.run.context import Run


class FileWasWrong(CannotGoOn):
    """The run began while the client's file was wrong, and nobody has asked for it since."""


def require_right_file(run: Run, was_wrong: Callable[[], bool]) -> None:
    """A run that was due while the file was wrong delivers nothing when the file is corrected meanwhile.

    Nobody has asked for it: the wrong file's schedule need not be the corrected one's. Clearing it asks. Raises
    :class:`FileWasWrong`.
    """
    if not run.owner.generation and was_wrong():
        raise FileWasWrong(
            f"This run began while the file {run.config.name}.yaml was wrong. The file has been corrected since, "
            "and the next run delivers. To deliver at once, clear this run or trigger the DAG."
        )


def first_look(run: Run) -> Findings:
    """Check the client's health, then look for files.

    Raises :class:`~client_delivery.run.health.AnotherRunUnderWay`, :class:`~client_delivery.run.health.AnotherClient`
    and :class:`~client_delivery.run.detection.FormRefused`.
    """
    left = take_stock(run)
    run.log_event("health_checked", left_active=left)
    run.note_act()
    dismiss(run)
    check_form(run)
    return detect(run)
