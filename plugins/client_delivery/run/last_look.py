"""What a run looks for at its end besides its own files: late files, keys that end soon, messages left to send (R7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.run import acknowledgements, expected, keys
from client_delivery.run.unsent import send_what_is_left

if TYPE_CHECKING:
    from client_delivery.run.addressees import Post
    from client_delivery.run.context import Run


def look_for_late(run: Run, post: Post, *, delivered: bool) -> None:
    """Report expected files that have not come, keys that end soon and missing acknowledgements, raise the client's
    alarms, and send the messages that earlier runs could not.

    :param delivered: whether this run may have delivered anything.
    """
    if expected.look(run, lambda: post, delivered=delivered):
        post.alarm("files_overdue")
    if keys.look(run, lambda: post):
        post.alarm("key_expires")
    if acknowledgements.look(run, lambda: post, delivered=delivered):
        post.alarm("not_acknowledged")
    send_what_is_left(run, post)
