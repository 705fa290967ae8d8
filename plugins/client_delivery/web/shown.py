"""How values look on the page. File names are untrusted: what cannot be seen, or turns the writing, is spelt out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

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


def markdown(text: str) -> Markup:
    """The documentation of a DAG as HTML: tables and lists, and neither links nor tags of anybody."""
    from markdown_it import MarkdownIt

    plain = re.sub(r"\[History\]\([^)]*\)[^.\n]*\.", "", text)
    rules = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink"])
    # Markdown has no table without a header; one without words is noise to who listens to it.
    rendered = re.sub(r"<thead>\s*<tr>\s*(<th></th>\s*)+</tr>\s*</thead>\s*", "", rules.render(plain))
    return Markup(rendered)  # noqa: S704 - what it renders is escaped


def size(count: int) -> str:
    """Bytes as people read them."""
    return human_size(count)


def rate(bytes_per_second: float | None) -> str:
    """How fast it goes; nothing if that is not known."""
    return f"{human_size(int(bytes_per_second))}/s" if bytes_per_second else ""


def lasting(left: timedelta | None) -> str:
    """How long it will take; nothing if that is not known."""
    if left is None:
        return ""
    minutes, seconds_ = divmod(int(left.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds_} s" if minutes else f"{seconds_} s"


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
