"""Runs that only respond to a question (R9.1): nothing is delivered, registered, removed or mailed.

The first task sees the question, and has Airflow skip all delivering tasks; the responding tasks run instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

TEST_DESTINATION: Final = "test_destination"
"""The task that tests the destination from the worker's own address."""
SAY_PLAN: Final = "say_plan"
"""The task that says what a run would do with each file."""
QUESTIONS: Final[Mapping[str, str]] = {"only_test_destination": TEST_DESTINATION, "only_plan": SAY_PLAN}
"""The form's switches, and the tasks that respond to them."""


def answering_tasks(params: Mapping[str, Any]) -> list[str]:
    """The tasks that respond to the form's questions; none for a run that delivers."""
    return [task for switch, task in QUESTIONS.items() if params.get(switch)]
