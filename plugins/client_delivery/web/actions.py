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
    """Whether to do it even while the client's window is closed."""


@dataclass(frozen=True, slots=True)
class Action:
    """One button."""

    title: str
    what: str
    """What it does, for the person who presses it."""
    conf: Callable[[Wish], Mapping[str, Any]] = lambda _: {}
    """The run's parameters."""
    of_files: bool = False
    """Whether it is about files that the person has chosen, or about the client."""
    sends: bool = False
    """Whether it waits for the client's window unless told otherwise."""
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
        "Sends every failed file that still waits in the pick-up, with fresh attempts. Files that a guard holds are "
        "let through.",
        lambda _: {"resend_failed": True},
        sends=True,
    ),
    "send-now": Action(
        "Send now",
        "Sends the waiting files at once, without waiting for their done file or for the next run.",
        lambda _: {"ignore_done_file": True},
        sends=True,
    ),
    "what-would-happen": Action(
        "What would happen",
        "Says for each waiting file whether it would be sent, held, removed or left, and why. Changes nothing.",
        lambda _: {"only_plan": True},
        answer=SAY_PLAN,
    ),
    "test-destination": Action(
        "Test destination",
        "Logs in to the destination, writes a small test file and removes it again. Delivers nothing.",
        lambda _: {"only_test_destination": True},
        answer=TEST_DESTINATION,
    ),
    "acknowledge": Action(
        "Acknowledge",
        "Ends the reminders for the files that are late now; for them, the client no longer needs a person. The "
        "contacts are still told when the files come.",
        lambda wish: {"acknowledge_late": wish.reason},
        of_late=True,
    ),
    "send-again": Action(
        "Send again",
        "Sends a file again under the same name, even if it was delivered. The sender is not needed: the "
        "bytes are read from the pick-up, its archive, or the version that was delivered. If they are gone, "
        "the run ends red and says so; when the sender drops the file again, it is sent.",
        _once_more,
        of_files=True,
        sends=True,
    ),
    "let-through": Action(
        "Let through",
        "Sends a file that a guard holds, unchanged: you confirm that it is right.",
        _once_more,
        of_files=True,
        sends=True,
    ),
    "dismiss": Action(
        "Dismiss",
        "Sends nothing. A failed file is no longer held, and no longer needs a person. It stays in the pick-up; if it "
        "is dropped again, it is sent.",
        lambda wish: {"dismiss": list(wish.files)},
        of_files=True,
    ),
}
PAUSE = Action("Pause", "No run starts until somebody unpauses the client. Waiting files stay in the pick-up.")
UNPAUSE = Action("Unpause", "Runs start again on schedule.")
"""Both change a setting of Airflow; neither begins a run."""
