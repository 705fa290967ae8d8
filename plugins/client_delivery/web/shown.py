"""How values look on the page. File names are untrusted: what cannot be seen, or turns the writing, is spelt out."""

from __future__ import annotations

from datetime import UTC, datetime

from client_delivery.notify.sizes import human_size
from client_delivery.notify.untrusted import elided
from client_delivery.notify.untrusted import printable as visible

LONGEST_NAME = 160
"""Characters of a name in a table; the whole is on the file's own page."""

LONGEST_WORDS = 400


def moment(at: str | None) -> str:
    """A time of the ledger, to the minute, in UTC; what cannot be read as one, as it is."""
    if not at:
        return "-"
    try:
        return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M}"
    except ValueError:
        return visible(at)


def name(text: str | None) -> str:
    """A file's name on one line, its end kept: that tells files apart."""
    shown = visible(text or "")
    return shown if len(shown) <= LONGEST_NAME else f"…{shown[1 - LONGEST_NAME :]}"


def words(text: str | None) -> str:
    """A sentence or a place from outside, on one line."""
    return elided(visible(text or ""), LONGEST_WORDS)


def whole(text: str | None) -> str:
    """Any text from outside, whole."""
    return visible(text or "")


def size(count: int) -> str:
    """Bytes as people read them."""
    return human_size(count)


def seconds(begin: str | None, end: str | None) -> str:
    """How long something took; nothing if that is not known."""
    if not (begin and end):
        return ""
    try:
        took = (datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds()
    except ValueError:
        return ""
    if took < 60:
        return f"{took:.1f} s"
    hours, minutes = divmod(int(took) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {int(took) % 60} s"


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)
