"""Why a step of a run cannot continue, and whether a retry helps; operators turn these into Airflow's exceptions."""

from __future__ import annotations

from typing import ClassVar


class CannotGoOn(Exception):
    """A step cannot continue. The message tells people what is wrong and what to do."""

    retry_helps: ClassVar[bool] = False
    """Whether the task's next try may continue."""
