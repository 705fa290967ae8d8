"""Acknowledgements by recipients: at its end a run looks for those that are due, notes in the ledger what it finds, and
reports once those that have not come in time.

If nothing is awaited, a run pays half a read unit. Otherwise it lists the destination: minutes after a delivery, and
then less and less often the longer the delivery has waited. No delivery depends on this, so nothing here ever fails a
task; and an acknowledgement that cannot be looked for is not reported missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.acknowledgements import Progress
from client_delivery.ledger.entry import timestamp
from client_delivery.run.awaited import awaited, search
from client_delivery.run.expected import about_of
from client_delivery.run.rules import tell_of_acknowledgements
from client_delivery.run.told import OfAcknowledgements

if TYPE_CHECKING:
    from client_delivery.config.acknowledgement import Acknowledgement
    from client_delivery.ledger.life import RunRef
    from client_delivery.notify.acknowledgements import AckNews
    from client_delivery.run.addressees import Post
    from client_delivery.run.awaited import Delivery, Look
    from client_delivery.run.context import Run

FIRST_LOOK, _LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
"""Between two looks: a tenth of the time that the last delivery has waited, within these limits."""
NOTHING_AWAITED = timedelta(hours=1)
LOOKED_FOR = timedelta(days=30)
"""After its time, an acknowledgement is looked for this long."""
OVERLAP = timedelta(hours=1)
"""A delivery may be recorded with a time slightly before a look that did not see it yet."""
_MOST_NAMED, _MOST_LOGGED = 100, 20
_LONGEST_TROUBLE = 1000


def begin(run: Run) -> None:
    """From the client's first run with ``acknowledgement`` on, deliveries need an acknowledgement. Never raises."""
    if run.config.acknowledgement is None:
        return
    try:
        kept, now = run.acknowledgements, datetime.now(UTC)
        if kept.progress() is None:
            kept.keep(None, now, _from_now_on(now))
    except Exception as error:
        run.log_event("acknowledgements_not_looked_for", level=logging.ERROR, error=type(error).__name__)


def look(run: Run, post: Callable[[], Post], *, delivered: bool) -> bool:
    """Look for those that are due, and report those that have not come; returns whether there is news. Never raises.

    :param delivered: whether this run may have delivered anything.
    """
    section = run.config.acknowledgement
    if section is None or run.silenced:
        return False  # with e-mails switched off it could tell nobody: the next run looks
    try:
        return _look(run, section, post, delivered=delivered)
    except Exception as error:
        run.log_event("acknowledgements_not_looked_for", level=logging.ERROR, error=type(error).__name__)
        return False


def told_again(run: Run, post: Post, told: Mapping[str, Any], owner: RunRef) -> OfAcknowledgements:
    """The news that an earlier run noted because it could not send it."""
    from client_delivery.notify.acknowledgements import AckNews, Unacknowledged

    read = {**told, "news": AckNews(told["news"]), "names": tuple(told["names"])}
    return OfAcknowledgements(Unacknowledged(**read), about_of(run, post, owner))


def _from_now_on(now: datetime) -> Progress:
    return Progress(None, timestamp(now), timestamp(now), timestamp(now))


def _look(run: Run, section: Acknowledgement, post: Callable[[], Post], *, delivered: bool) -> bool:
    kept = run.acknowledgements
    before, now = kept.progress(), datetime.now(UTC)
    if before is None:
        kept.keep(None, now, _from_now_on(now))
        return False
    if now < datetime.fromisoformat(before.next_look):
        soon = timestamp(now + FIRST_LOOK)
        if delivered and soon < before.next_look:
            kept.keep(before, now, replace(before, next_look=soon))
        return False
    found = awaited(run, section, max(before.begin, timestamp(now - section.within - LOOKED_FOR)))
    if found.left():
        search(run, section, found)
    after = _judged(section, before, found, now)
    if not kept.keep(before, now, after):
        return False  # another run has looked at the same moment, and reports it
    news = _news(section, before, after, found, now)
    if news is None:
        return False
    _tell(run, section, post(), news, found.trouble)
    return after.missing > 0 or found.trouble is not None


def _judged(section: Acknowledgement, before: Progress, found: Look, now: datetime) -> Progress:
    """How far the look has come. A later look judges what could not be looked for."""
    left = found.left()
    until = before.told_until
    if found.trouble is None:
        until = max(until, timestamp(now - section.within))
    oldest = min((one.at for one in left), default=now)
    pause = NOTHING_AWAITED
    if left:
        pause = min(max((now - max(one.at for one in left)) / 10, FIRST_LOOK), _LONGEST_PAUSE)
    due = min((end for one in left if (end := one.at + section.within) > now), default=now + pause)
    told = before.trouble_told or bool(_due(section, before, left, now))
    return Progress(
        looked_at=None,
        begin=before.begin if found.more else timestamp(min(oldest, now - OVERLAP)),
        told_until=until,
        next_look=timestamp(min(now + pause, due)),
        awaited=len(left),
        missing=sum(timestamp(one.at) <= until for one in left),
        trouble=found.trouble[:_LONGEST_TROUBLE] if found.trouble else None,
        trouble_told=told if found.trouble else False,
    )


def _due(section: Acknowledgement, before: Progress, left: Iterable[Delivery], now: datetime) -> list[Delivery]:
    """Those whose time is over, and that were not judged before."""
    return [one for one in left if one.at + section.within <= now and timestamp(one.at) > before.told_until]


def _news(
    section: Acknowledgement, before: Progress, after: Progress, found: Look, now: datetime
) -> tuple[AckNews, Sequence[Delivery]] | None:
    """The news that only this look has."""
    from client_delivery.notify.acknowledgements import AckNews

    due = _due(section, before, found.left(), now)
    if found.trouble is not None:
        return (AckNews.UNKNOWN, due) if due and not before.trouble_told else None
    if due:
        return AckNews.MISSING, due
    late = [one for one in found.deliveries if one.found and timestamp(one.at) <= before.told_until]
    return (AckNews.CAME, late) if late and not after.missing else None


def _tell(
    run: Run, section: Acknowledgement, post: Post, told: tuple[AckNews, Sequence[Delivery]], trouble: str | None
) -> None:
    from client_delivery.config.acknowledgement import in_words
    from client_delivery.notify.acknowledgements import Unacknowledged

    news, deliveries = told
    names = tuple(one.delivered for one in deliveries[:_MOST_NAMED])
    within = in_words(section.within)
    run.log_event(
        f"acknowledgements_{news.replace(' ', '_')}",
        level=logging.WARNING,
        files=len(deliveries),
        names=names[:_MOST_LOGGED],
        within=within,
    )
    what = Unacknowledged(news, section.pattern, within, len(deliveries), names, trouble or "")
    key = "|".join(one.position for one in deliveries)
    tell_of_acknowledgements(run, post, OfAcknowledgements(what, about_of(run, post, run.owner)), key)
