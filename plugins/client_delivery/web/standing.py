"""The board's rows: what Airflow knows of a client's DAG and what its runs noted, as one sentence to act on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from client_delivery.ledger.board import Standing
from client_delivery.notify.sizes import human_size
from client_delivery.web.access import ON_ARRIVAL, PAUSED, Dag
from client_delivery.web.shown import moment


class State(StrEnum):
    """How a client stands; those that need a person come first."""

    WRONG = "wrong configuration"
    TROUBLE = "red"
    FROZEN = "frozen"
    HINDERED = "cannot start"
    HELD = "held"
    WANTED = "dropped again?"
    OVERDUE = "overdue"
    UNDER_WAY = "under way"
    PAUSED = "paused"
    CALM = "calm"

    @property
    def needs_a_person(self) -> bool:
        """Whether somebody has to do something, whatever colour the last run has."""
        return _ORDER.index(self) <= _ORDER.index(State.OVERDUE)


_ORDER = list(State)


@dataclass(frozen=True, slots=True)
class Row:
    """One client on the board."""

    name: str
    delivery_key: str
    destination: str
    state: State
    sentence: str
    last_delivery: str | None
    last_file: str | None
    waiting: int
    """Files that wait for a done file, or for the window."""
    held: int
    files_under_way: int
    next_look: str | None
    """When a run is next due by the schedule."""
    on_arrival: bool
    """Whether the pick-up is watched between runs."""

    def in_words(self) -> dict[str, Any]:
        """As CSV and JSON have it."""
        return {
            "configuration": self.name,
            "client": self.delivery_key,
            "destination": self.destination,
            "needsAPerson": self.state.needs_a_person,
            "state": self.state.value,
            "sentence": self.sentence,
            "lastDelivery": self.last_delivery,
            "lastFile": self.last_file,
            "waiting": self.waiting,
            "held": self.held,
            "underWay": self.files_under_way,
            "nextLook": self.next_look,
            "onArrival": self.on_arrival,
        }


def rows(dags: Iterable[Dag], standings: Mapping[str, Standing], now: datetime | None = None) -> list[Row]:
    """A row for each client, those that need a person first."""
    at = now or datetime.now(UTC)
    found = [row_of(dag, standings.get(dag.dag_id, Standing(dag.dag_id)), at) for dag in dags]
    return sorted(found, key=lambda row: (_ORDER.index(row.state), row.name))


def row_of(dag: Dag, standing: Standing, now: datetime) -> Row:
    """One client's row."""
    state, sentence = _state(dag, standing, now)
    return Row(
        name=dag.dag_id,
        delivery_key=dag.delivery_key or standing.delivery_key,
        destination=standing.destination or dag.description.rpartition(" to ")[2],
        state=state,
        sentence=sentence,
        last_delivery=standing.last_delivery,
        last_file=standing.last_file,
        waiting=int((standing.waiting or {}).get("files", 0)),
        held=standing.held,
        files_under_way=int((standing.under_way or {}).get("files", 0)),
        next_look=dag.next_run,
        on_arrival=ON_ARRIVAL in dag.tags and not dag.paused,
    )


def _state(dag: Dag, standing: Standing, now: datetime) -> tuple[State, str]:
    """The worst state, and a sentence for each thing that is wrong."""
    if matters := list(_matters(dag, standing, now)):
        return matters[0][0], " ".join(_ended(sentence) for _, sentence in matters)
    if standing.under_way:
        gone = " Its file was removed: the run ends as it began." if "removed" in dag.tags else ""
        return State.UNDER_WAY, f"Sending {_way(standing)}{gone}"
    return _calm(dag, standing)


def _ended(sentence: str) -> str:
    """Ends a text from elsewhere like a sentence, because another one follows."""
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."


def _way(standing: Standing) -> str:
    """How much a run has in hand, and since when."""
    way = standing.under_way or {}
    files = "1 file" if way["files"] == 1 else f"{way['files']} files"
    return f"{files}, {human_size(int(way['bytes']))}, since {moment(way['since'])}."


def _matters(dag: Dag, standing: Standing, now: datetime) -> Iterator[tuple[State, str]]:
    if "config-error" in dag.tags:
        yield (
            State.WRONG,
            "The configuration is wrong and nothing is delivered: the DAG's documentation names the line.",
        )
    if trouble := standing.trouble:
        yield State.TROUBLE, f"{trouble['task']} ended red at {moment(trouble['at'])} in run {trouble['run']}."
    if dag.paused and standing.under_way:
        # Airflow starts no further task of a paused DAG, not even of a run that is under way.
        yield (
            State.FROZEN,
            f"Paused in Airflow in the middle of a run. {_way(standing)} Unpause it to let the run finish.",
        )
    if hindered := standing.hindered:
        yield State.HINDERED, f"Containers have been failing since {moment(hindered['at'])}: {hindered['why']}"
    if standing.held:
        files = "1 file failed" if standing.held == 1 else f"{standing.held} files failed"
        waits = "has waited" if standing.held == 1 else "have waited"
        reason = f": {standing.held_reason}" if standing.held_reason else "."
        yield State.HELD, f"{files} and {waits} since {moment(standing.held_since)}{reason}"
    if wanted := standing.wanted:
        named = wanted[0] if len(wanted) == 1 else f"{len(wanted)} files"
        since = moment(standing.wanted_since)
        yield (
            State.WANTED,
            f"Asked for again on {since}, but the bytes are gone: {named}. Ask the sender to drop it again.",
        )
    for words in standing.late:
        yield State.OVERDUE, f"Late: {words}."
    if late := _overdue(standing, now):
        yield State.OVERDUE, late


def _calm(dag: Dag, standing: Standing) -> tuple[State, str]:
    if dag.paused:
        return State.PAUSED, "Paused in Airflow: nothing is delivered."
    if PAUSED in dag.tags:
        return State.PAUSED, "Paused in its configuration: only a run that somebody triggers delivers."
    if standing.late_acknowledged:
        return State.CALM, f"Late, acknowledged: {'; '.join(standing.late_acknowledged)}."
    if waiting := standing.waiting:
        files = "1 file waits" if waiting["files"] == 1 else f"{waiting['files']} files wait"
        return State.CALM, f"{'More than ' if waiting['more'] else ''}{files} for {waiting['for']}."
    return State.CALM, "Waits for the next files." if standing.last_delivery else "Nothing has been delivered yet."


def _overdue(standing: Standing, now: datetime) -> str | None:
    if not (standing.expected_every_days and standing.last_delivery):
        return None
    days = (now - datetime.fromisoformat(standing.last_delivery)).total_seconds() / 86_400
    if days <= standing.expected_every_days:
        return None
    return f"Files are expected every {standing.expected_every_days} days; the last came {days:.0f} days ago."
