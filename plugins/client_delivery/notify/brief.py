"""A message in a few lines, for channels that take no e-mail; and as data, for programs.

File names are untrusted, and so are reasons, which quote servers: both are printable text here, and no channel's body
(:mod:`client_delivery.notify.bodies`) puts them where they could format, link or mention anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from client_delivery.calendar.expectation import News
from client_delivery.config.notify import Audience, Occasion
from client_delivery.notify import expected, expiring, to_client
from client_delivery.notify.acknowledgements import AckNews, Unacknowledged
from client_delivery.notify.expected import About, Late
from client_delivery.notify.expiring import Expiring
from client_delivery.notify.messages import FileLine, JobSummary, Outcome, outcome_in_words, outcome_of
from client_delivery.notify.rendering import clock, counted
from client_delivery.notify.untrusted import elided, printable

VERSION = 1
"""Of :attr:`Brief.data`. A field may be added to it; one that goes, or means another thing, makes a new version."""
NAMED = 10
"""Files that a brief message names, those that need attention first."""
_LONGEST_NAME = 160
_LONGEST_REASON = 300
TITLES = {
    Occasion.STARTED: "Job started",
    Occasion.FINISHED: "Job finished",
    Occasion.FAILED: "Job finished",
    Occasion.RECOVERED: "Recovered",
    Occasion.HELD: "Still held",
}
FOLLOW = (
    "Follow the advice in each reason, then clear the run in Airflow: only the files that failed are sent again. "
    "On the Deliveries page a file can also be sent again, or dismissed, by name."
)
"""What the team does about files that failed."""
_TROUBLE = (Outcome.FAILED, Outcome.HELD, Outcome.REPLACED)


@dataclass(frozen=True, slots=True)
class Brief:
    """What a channel is told."""

    id: str
    """The same for each try at sending it, so that a receiver can recognize a repetition."""
    occasion: Occasion
    title: str
    lines: Sequence[str]
    advice: str
    links: Sequence[tuple[str, str]]
    """What each is called, and its address."""
    at: datetime
    source: str
    """The client, as people call it."""
    incident: str
    """What the same trouble is called from the first message to the last."""
    solved: bool
    """Whether nothing of that trouble is left."""
    data: Mapping[str, Any]
    """The same for programs."""


def of_job(id_: str, occasion: Occasion, summary: JobSummary, audience: Audience) -> Brief:
    """The message about a delivery, or about held files."""
    listed = sorted(
        [*summary.files, *(_held(file) for file in summary.held)],
        key=lambda file: (list(Outcome).index(_outcome(file)), file.name),
    )
    in_trouble = [file for file in listed if _outcome(file) in _TROUBLE]
    if audience is Audience.CLIENT:
        title, advice = to_client.title_of(occasion), to_client.advice(summary, occasion)
        said, links = to_client.headline(summary, occasion), []
        lines = [elided(printable(file.name), _LONGEST_NAME) for file in in_trouble[:NAMED]]
    else:
        title, advice = TITLES[occasion], FOLLOW if in_trouble else ""
        said, links = _said(summary, occasion), _links(summary.run_url, summary.deliveries_url)
        lines = [_with_reason(file) for file in in_trouble[:NAMED]]
    if len(in_trouble) > NAMED:
        lines.append(f"and {len(in_trouble) - NAMED:,} more")
    counts = {str(one): sum(_outcome(file) is one for file in listed) for one in Outcome}
    counts[Outcome.HELD] += summary.more_held
    counts[Outcome.NOT_SENT] = len(summary.duplicates)
    data: dict[str, Any] = {
        "counts": {name.replace(" ", "_"): number for name, number in counts.items() if number},
        "bytes": sum(file.size for file in summary.files if _outcome(file) is Outcome.DELIVERED),
        "files": [_as_data(file, audience) for file in in_trouble[:NAMED]],
    }
    client = printable(summary.client)
    where = f"{summary.environment}: " if summary.environment else ""
    return Brief(
        id_,
        occasion,
        f"{where}[{client}] {title}: {said}",
        lines,
        advice,
        links,
        summary.time,
        client,
        f"{summary.client}:files",
        occasion is Occasion.RECOVERED and not in_trouble,
        _data(occasion, summary, data, audience, run=summary.run_id, run_url=summary.run_url),
    )


def of_late(id_: str, late: Late, about: About, audience: Audience, at: datetime) -> Brief:
    """The message about expected files."""
    came = late.news is News.CAME_LATE
    team = audience is Audience.TEAM
    occasion = Occasion.RECOVERED if came else Occasion.LATE
    names = [elided(printable(name), _LONGEST_NAME) for name in late.came[:NAMED]]
    where = f"{about.environment}: " if about.environment else ""
    words = printable(late.words)
    data = {
        "expected": words,
        "due": late.due.astimezone(UTC).isoformat(),
        "at_least": late.at_least,
        "came": len(late.came),
        "files": [{"name": name} for name in names],
    }
    return Brief(
        id_,
        occasion,
        f"{where}[{printable(about.client)}] {expected.title_of(late.news)}: {words}",
        [f"Was due {clock(late.due, late.zone)}; {len(late.came)} of {late.at_least} have arrived", *names],
        expected.advice_on(late.news) if team else expected.TO_CLIENT[News.CAME_LATE if came else News.LATE],
        _links(about.run_url, about.deliveries_url) if team else [],
        at,
        printable(about.client),
        f"{about.client}:late:{words}",
        came,
        _data(occasion, about, data, audience, run=about.run_id, run_url=about.run_url),
    )


def of_acknowledgements(id_: str, told: Unacknowledged, about: About, audience: Audience, at: datetime) -> Brief:
    """The message about acknowledgements that a recipient owes."""
    team, came = audience is Audience.TEAM, told.news is AckNews.CAME
    occasion = Occasion.RECOVERED if came else Occasion.LATE
    where = f"{about.environment}: " if about.environment else ""
    names = told.shown[:NAMED]
    reason = [elided(printable(told.reason), _LONGEST_REASON)] if team and told.reason else []
    data = {
        "acknowledgement": printable(told.pattern),
        "within": told.within,
        "news": str(told.news),
        "count": told.count,
        "files": [{"name": name} for name in names],
    }
    return Brief(
        id_,
        occasion,
        f"{where}[{printable(about.client)}] {told.title}: {told.headline}",
        [*reason, *names],
        told.advice(to_client=not team),
        _links(about.run_url, about.deliveries_url) if team else [],
        at,
        printable(about.client),
        f"{about.client}:acknowledgements",
        came,
        _data(occasion, about, data, audience, run=about.run_id, run_url=about.run_url),
    )


def of_keys(id_: str, keys: Sequence[Expiring], about: About, audience: Audience, at: datetime) -> Brief:
    """The message about keys that will soon expire or be too old."""
    team = audience is Audience.TEAM
    where = f"{about.environment}: " if about.environment else ""
    data = {
        "keys": [
            {"kind": str(key.kind), "id": printable(key.id), "ends": f"{key.ends.astimezone(UTC):%Y-%m-%d}"}
            for key in keys[:NAMED]
        ]
    }
    return Brief(
        id_,
        Occasion.EXPIRING,
        f"{where}[{printable(about.client)}] {expiring.TITLE}: {expiring.headline(keys)}",
        [key.words for key in keys[:NAMED]],
        expiring.advice_on(keys) if team else expiring.TO_CLIENT,
        _links(about.run_url, about.deliveries_url) if team else [],
        at,
        printable(about.client),
        f"{about.client}:keys",
        False,
        _data(Occasion.EXPIRING, about, data, audience, run=about.run_id, run_url=about.run_url),
    )


def _data(
    occasion: Occasion, about: JobSummary | About, data: Mapping[str, Any], audience: Audience, **of_run: str | None
) -> dict[str, Any]:
    known: dict[str, Any] = {"version": VERSION, "occasion": str(occasion), "client": about.client}
    if audience is Audience.TEAM:
        known |= {"configuration": about.configuration, **of_run}
    if about.environment:
        known["environment"] = about.environment
    return {**{name: value for name, value in known.items() if value is not None}, **data}


def _said(summary: JobSummary, occasion: Occasion) -> str:
    if occasion is Occasion.STARTED:
        return counted(len(summary.files), "file")
    if occasion is Occasion.HELD:
        return f"{len(summary.held) + summary.more_held:,} held"
    return outcome_in_words(summary)


class _Held(FileLine):
    """A file that failed in an earlier run."""


def _held(file: FileLine) -> FileLine:
    return _Held(file.name, file.size, file.status, file.attempts, file.error)


def _outcome(file: FileLine) -> Outcome:
    return Outcome.HELD if isinstance(file, _Held) else outcome_of(file)


def _with_reason(file: FileLine) -> str:
    name = elided(printable(file.name), _LONGEST_NAME)
    reason = elided(printable(" ".join((file.error or "").split())), _LONGEST_REASON)
    return f"{_outcome(file)}: {name}" + (f": {reason}" if reason else "")


def _as_data(file: FileLine, audience: Audience) -> dict[str, Any]:
    told = {"name": printable(file.name), "bytes": file.size, "outcome": str(_outcome(file))}
    if audience is Audience.TEAM and file.error:
        told["reason"] = elided(printable(file.error), _LONGEST_REASON)
    return told


def _links(run_url: str | None, deliveries_url: str | None) -> list[tuple[str, str]]:
    found = (("Run in Airflow", run_url), ("Deliveries page", deliveries_url))
    return [(name, url) for name, url in found if url]
