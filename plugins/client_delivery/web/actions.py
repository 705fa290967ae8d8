"""What can be asked for on the page: each is a normal run of the client's DAG, with switches of its trigger form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from client_delivery.run.again import MOST

LONGEST_REASON = 900
"""Characters. Airflow's notes have a thousand."""
MOST_FILES = MOST
"""Files of one action."""


@dataclass(frozen=True, slots=True)
class Action:
    """One button."""

    title: str
    what: str
    """What happens then, for the person who presses it."""
    conf: Callable[[Sequence[str]], dict[str, Any]]
    """The run's parameters, by the sort keys of the files' entries."""
    of_files: bool = False
    """Whether it is about files that the person has chosen, or about the client."""


ACTIONS = {
    "resend-failed": Action(
        "Resend failed",
        "Sends every file that failed and still waits in the pick-up, with fresh attempts.",
        lambda _: {"resend_failed": True},
    ),
    "send-now": Action(
        "Send now",
        "Sends what waits in the pick-up now, without its done file and before the next run is due.",
        lambda _: {"ignore_done_file": True},
    ),
    "send-again": Action(
        "Send again",
        "Sends once more, also what was delivered, under the same name. The sender is not needed: the bytes are read "
        "in the pick-up, in its archive, or in the version that was delivered. Where they are nowhere any more, the "
        "run is red and says so, and whoever drops the file again is served.",
        lambda files: {"send_again": list(files)},
        of_files=True,
    ),
    "dismiss": Action(
        "Dismiss",
        "Nothing is sent: what failed is not held any more, and nobody has to look at it again. It stays in the "
        "pick-up; dropped anew, it is sent.",
        lambda files: {"dismiss": list(files)},
        of_files=True,
    ),
}
PAUSE = Action(
    "Pause",
    "No run begins any more, until somebody unpauses it. What waits stays in the pick-up.",
    lambda _: {},
)
UNPAUSE = Action("Unpause", "Runs begin again by the schedule.", lambda _: {})
"""Both are settings of Airflow's, and no runs."""
