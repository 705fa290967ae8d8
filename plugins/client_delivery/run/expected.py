"""Files that are expected by a time: each run checks whether they have come, and reports once if they have not.

An idle run pays one read for it, and a write twice a day; the record of deliveries is asked only when a time has passed
or a reminder is due. No delivery depends on this, so nothing here ever fails a task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from client_delivery.calendar.expectation import Arrival, Expectation, Judgement, News, State, judge, words_of
from client_delivery.ledger.entry import timestamp
from client_delivery.run.rules import tell_of_late
from client_delivery.run.told import OfLate

if TYPE_CHECKING:
    from client_delivery.ledger.life import RunRef
    from client_delivery.notify.expected import About
    from client_delivery.run.addressees import Post
    from client_delivery.run.context import Run

_NOTED_AFTER = timedelta(hours=12)
"""How often a look is noted if there is nothing else to note."""
_LONGEST_SILENCE = timedelta(days=4)
"""No look for longer than this, and than two of the client's own intervals: it was paused. Longer than any weekend."""
_MOST_ARRIVALS = 100_000


def look(run: Run, post: Callable[[], Post], *, delivered: bool) -> list[str]:
    """Judge all expectations of the client, and send news to its contacts; returns the late ones, in words.

    :param delivered: whether this run has delivered anything.
    """
    if not run.config.expected:
        return []
    try:
        return _look(run, post, delivered=delivered)
    except Exception as error:
        run.log_event("expectations_not_judged", level=logging.ERROR, error=type(error).__name__)
        return []


def acknowledge(run: Run, reason: str) -> int:
    """End the reminders of what is late now: a person knows, and gives a reason. Returns how many were late."""
    kept = run.expectations
    before = kept.known()
    late = {key: state for key, state in before.states.items() if state.missing and not state.acknowledged}
    if late:
        acknowledged = {key: state.acknowledge() for key, state in late.items()}
        states = {**before.states, **acknowledged}
        if not kept.keep(before, datetime.now(UTC), states):
            return acknowledge(run, reason)
        _note_late(run, states)
        for key, state in late.items():
            run.log_event(
                "late_files_acknowledged", expected=key, due=state.due.isoformat(), by=run.asked_by, reason=reason
            )
    return len(late)


def _look(run: Run, post: Callable[[], Post], *, delivered: bool) -> list[str]:
    kept = run.expectations
    before, now = kept.known(), datetime.now(UTC)
    silence = timedelta(0) if before.looked_at is None else now - before.looked_at
    # The interval last: an idle run need not load the module that computes it.
    paused = silence > _LONGEST_SILENCE and silence > 2 * _interval(run.config.cron) + _NOTED_AFTER

    @cache
    def arrivals(since: datetime) -> Sequence[Arrival]:
        return _arrivals(run, since)

    judged = {
        one: judge(one, before.states.get(one.key), now, arrivals, paused=paused, delivered=delivered)
        for one in run.config.expectations
    }
    states = {one.key: judgement.state for one, judgement in judged.items()}
    if states != before.states or before.looked_at is None or silence >= _NOTED_AFTER:
        if not paused:
            _note_due(run, before.states, judged)
        if not kept.keep(before, now, states, {one.key: one.due.after(now) for one in judged}):
            return []  # another run has looked at the same moment, and reports it
        if _late(states) != _late(before.states):
            _note_late(run, states)
        for one, judgement in judged.items():
            if judgement.news is not None:
                _tell(run, post, one, judgement)
    return [one.words for one, judgement in judged.items() if judgement.state.missing]


def _late(states: Mapping[str, State]) -> set[tuple[str, bool]]:
    return {(key, state.acknowledged) for key, state in states.items() if state.missing}


def _note_late(run: Run, states: Mapping[str, State]) -> None:
    """Let the board show what is late, and what people have acknowledged."""
    late = sorted(_late(states))
    unknown = [words_of(key) for key, acknowledged in late if not acknowledged]
    known = [words_of(key) for key, acknowledged in late if acknowledged]
    run.note_on_board(lambda board: board.expects(run.config.name, run.facts, unknown, known))


def _note_due(run: Run, before: Mapping[str, State], judged: Mapping[Expectation, Judgement]) -> None:
    """Note in the months, for each due time that has passed, whether the files had come by it."""
    for one, judgement in judged.items():
        earlier = before.get(one.key)
        if earlier is not None and judgement.state.due > earlier.due:
            run.note_due(one.key, judgement.state.due, late=judgement.news is not None)


def _tell(run: Run, post: Callable[[], Post], expectation: Expectation, judgement: Judgement) -> None:
    assert judgement.news is not None  # noqa: S101 - who has no news does not tell
    run.log_event(
        "files_" + judgement.news.replace(" ", "_"),
        level=logging.WARNING,
        expected=expectation.words,
        due=judgement.state.due.isoformat(),
        came=len(judgement.came),
        at_least=expectation.at_least,
    )
    from client_delivery.notify.expected import Late

    late = Late(
        judgement.news,
        expectation.words,
        judgement.state.due,
        expectation.due.zone,
        expectation.at_least,
        judgement.came,
    )
    where = post()
    tell_of_late(run, where, OfLate(late, about_of(run, where, run.owner)), expectation.key)


def told_again(run: Run, post: Post, late: Mapping[str, Any], owner: RunRef) -> OfLate:
    """The news that an earlier run noted because it could not send it."""
    from client_delivery.notify.expected import Late

    read = {**late, "news": News(late["news"]), "due": datetime.fromisoformat(late["due"])}
    return OfLate(Late(**read), about_of(run, post, owner))


def about_of(run: Run, post: Post, owner: RunRef) -> About:
    """The client and its links, for a message that names no file."""
    from client_delivery.notify.expected import About

    config = run.config
    return About(
        f"{config.client_h_number} {config.feed}" if config.feed else config.client_h_number,
        config.name,
        f"s3://{config.pickup.bucket}/{config.pickup.prefix}",
        owner.run_id,
        post.run_url(owner),
        run.settings.environment or None,
        post.deliveries_url,
    )


def _arrivals(run: Run, since: datetime) -> list[Arrival]:
    """The delivered files that came after that moment."""
    found: list[Arrival] = []
    after = None
    # Files that came after it were delivered after it.
    begin = timestamp(since)
    while len(found) < _MOST_ARRIVALS:
        page = run.history.of_client(run.config.delivery_key, status="success", since=begin, after=after, limit=200)
        found += [
            Arrival(one.file_name, datetime.fromisoformat(one.modified))
            for one in page.found
            if one.modified is not None
        ]
        if (after := page.next) is None:
            break
    return found


def _interval(cron: str | None) -> timedelta:
    """Between two runs."""
    assert cron is not None  # noqa: S101 - a client that expects files has a schedule
    from croniter import croniter

    times = croniter(cron, datetime(2026, 1, 1, tzinfo=UTC))
    found: list[datetime] = [times.get_next(datetime) for _ in range(3)]
    return max(later - earlier for earlier, later in pairwise(found))
