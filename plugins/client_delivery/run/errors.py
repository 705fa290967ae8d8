"""Why a step of a run cannot go on, and whether a retry helps: Airflow's exceptions are made of these."""

from __future__ import annotations

from typing import ClassVar


class CannotGoOn(Exception):
    """A step cannot go on. The message is for people: what is the matter, and what to do."""

    retry_helps: ClassVar[bool] = False
    """Whether the task's next try may go on."""
