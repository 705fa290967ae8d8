"""What can be asked for on the page: each is a normal run of the client's DAG, with switches of its trigger form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from client_delivery.run.again import MOST
from client_delivery.run.questions import SAY_PLAN, TEST_DESTINATION

LONGEST_REASON = 900
"""Characters. Airflow's notes have a thousand."""
MOST_FILES = MOST
"""Files of one action."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person has filled in."""

    reason: str
    files: tuple[str, ...] = ()
    """The sort keys of the entries of those that were chosen."""
    outside_window: bool = False
    """Whether it is to be done while the client's window is closed, too."""


@dataclass(frozen=True, slots=True)
class Action:
    """One button."""

    title: str
    what: str
    """What happens then, for the person who presses it."""
    conf: Callable[[Wish], Mapping[str, Any]] = lambda _: {}
    """The run's parameters."""
    of_files: bool = False
    """Whether it is about files that the person has chosen, or about the client."""
    sends: bool = False
    """Whether it waits for the client's window, if it is not told otherwise."""
    answer: str = ""
    """The task in whose log the answer is, of an action that only asks."""
    of_late: bool = False
    """Whether it is about files that are late."""

    def params(self, wish: Wish) -> dict[str, Any]:
        """The parameters of the run that does it."""
        outside = {"ignore_window": True} if self.sends and wish.outside_window else {}
        return {**self.conf(wish), **outside}


def _once_more(wish: Wish) -> Mapping[str, Any]:
    return {"send_again": list(wish.files)}


ACTIONS = {
    "resend-failed": Action(
        "Resend failed",
        "Sends every file that failed and still waits in the pick-up, with fresh attempts; what a guard holds is let "
        "through.",
        lambda _: {"resend_failed": True},
        sends=True,
    ),
    "send-now": Action(
        "Send now",
        "Sends what waits in the pick-up now, without its done file and before the next run is due.",
        lambda _: {"ignore_done_file": True},
        sends=True,
    ),
    "what-would-happen": Action(
        "What would happen",
        "Says of each file that waits whether it would be sent, held, removed or left, and why. Nothing is changed.",
        lambda _: {"only_plan": True},
        answer=SAY_PLAN,
    ),
    "test-destination": Action(
        "Test destination",
        "Logs in to the destination, writes a small test file and removes it again. No file is delivered.",
        lambda _: {"only_test_destination": True},
        answer=TEST_DESTINATION,
    ),
    "acknowledge": Action(
        "Acknowledge",
        "Of what is late now nobody is reminded any more, and the client needs no person for it. When the files have "
        "come, the contacts are told all the same.",
        lambda wish: {"acknowledge_late": wish.reason},
        of_late=True,
    ),
    "send-again": Action(
        "Send again",
        "Sends once more, also what was delivered, under the same name. The sender is not needed: the bytes are read "
        "in the pick-up, in its archive, or in the version that was delivered. Where they are nowhere any more, the "
        "run is red and says so, and whoever drops the file again is served.",
        _once_more,
        of_files=True,
        sends=True,
    ),
    "let-through": Action(
        "Let through",
        "Sends what a guard holds, as it is: you say that it is right.",
        _once_more,
        of_files=True,
        sends=True,
    ),
    "dismiss": Action(
        "Dismiss",
        "Nothing is sent: what failed is not held any more, and nobody has to look at it again. It stays in the "
        "pick-up; dropped anew, it is sent.",
        lambda wish: {"dismiss": list(wish.files)},
        of_files=True,
    ),
}
PAUSE = Action("Pause", "No run begins any more, until somebody unpauses it. What waits stays in the pick-up.")
UNPAUSE = Action("Unpause", "Runs begin again by the schedule.")
"""Both are settings of Airflow's, and no runs."""
