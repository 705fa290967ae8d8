"""What a run looks for as it ends, besides its own files: what is late, what ends soon, what could not be told (R7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.run import acknowledgements, expected, keys
from client_delivery.run.unsent import send_what_is_left

if TYPE_CHECKING:
    from client_delivery.run.addressees import Post
    from client_delivery.run.context import Run


def look_for_late(run: Run, post: Post, *, delivered: bool) -> None:
    """Tell of files that are expected and have not come, of keys that end soon and of acknowledgements that are
    missing, and raise the client's alarms; and tell what earlier runs could not.

    :param delivered: whether this run may have delivered anything.
    """
    if expected.look(run, lambda: post, delivered=delivered):
        post.alarm("files_overdue")
    if keys.look(run, lambda: post):
        post.alarm("key_expires")
    if acknowledgements.look(run, lambda: post, delivered=delivered):
        post.alarm("not_acknowledged")
    send_what_is_left(run, post)
