"""What can be asked for on the page: each is a normal run of the client's DAG, with switches of its trigger form."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LONGEST_REASON = 900
"""Characters. Airflow's notes have a thousand."""
_REDROP_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Action:
    """One button."""

    title: str
    what: str
    """What happens then, for the person who presses it."""
    conf: Callable[[str], dict[str, Any]]
    """The run's parameters, by the file's name."""
    of_a_file: bool = False


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
        "Sends this file once more, also if it was delivered before. If it is not in the pick-up any more, the run "
        f"waits {_REDROP_MINUTES} minutes for it to be put there again, and then is red. It is removed when it has "
        "arrived.",
        lambda name: {
            "bypass_file_checks": True,
            "file_pattern": glob.escape(name),
            "ignore_done_file": True,
            "wait_minutes": _REDROP_MINUTES,
        },
        of_a_file=True,
    ),
}
