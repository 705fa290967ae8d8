"""The page's questions to the ledger: bounded, and never a Scan (R3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from client_delivery.ledger.board import Board, Standing
from client_delivery.ledger.entry import Entry, RunRef
from client_delivery.ledger.history import History, Page
from client_delivery.ledger.record import Recorded
from client_delivery.ledger.table import Ledger
from client_delivery.runtime.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_MOST_ENTRIES = 500


class Data:
    """One request's view of the ledger's table."""

    def __init__(self, dynamodb: DynamoDBClient | None = None, table: str | None = None) -> None:
        self._dynamodb = dynamodb or _client()
        self._table = table or Settings.from_environment().ledger_table
        self._history = History(self._dynamodb, self._table)
        self._board = Board(self._dynamodb, self._table)
        self._standing: dict[str, Standing] = {}

    def standings(self) -> dict[str, Standing]:
        """How all clients stand."""
        return self._board.all()

    def standing(self, name: str) -> Standing:
        """How one client stands."""
        if name not in self._standing:
            self._standing[name] = self._board.of(name)
        return self._standing[name]

    def outcomes(self, key: str, question: Mapping[str, str], limit: int = 50) -> Page:
        """A client's files: by what their name begins with, or by time and status."""
        if not key:
            return Page([])
        after = question["after"] or None
        if question["begins"]:
            page = self._history.of_name(key, question["begins"], after=after, limit=limit)
            status = question["status"]
            return Page([one for one in page.found if not status or one.status == status], page.next)
        return self._history.of_client(
            key,
            status=question["status"] or None,
            since=question["since"],
            until=question["until"],
            after=after,
            limit=limit,
        )

    def anywhere(self, words: str) -> list[Recorded]:
        """Outcomes of all clients by file name or checksum."""
        return self._history.anywhere(words)

    def in_hand(self, key: str) -> list[Entry]:
        """What is under way or held for a client: some of it, if it is very much."""
        ledger = self._ledger(key)
        return [*ledger.open_entries()[:_MOST_ENTRIES], *ledger.held_entries()[:_MOST_ENTRIES]]

    def file(self, key: str, name: str) -> tuple[list[Recorded], list[Entry]]:
        """What is recorded of a client's files of one name, and what of them is in hand."""
        if not key:
            return [], []
        recorded = list(self._history.of_file(key, name).found)
        return recorded, [entry for entry in self.in_hand(key) if entry.file_name == name]

    def of_run(self, key: str, dag_id: str, run_id: str) -> list[Entry]:
        """What one run has, or last had, in hand."""
        entries = self._ledger(key).of_run(RunRef(run_id, 0, dag_id))
        return sorted(entries, key=lambda entry: entry.file_name)[:_MOST_ENTRIES]

    def _ledger(self, key: str) -> Ledger:
        return Ledger(self._dynamodb, self._table, key)


@cache
def _client() -> DynamoDBClient:
    from client_delivery.access.aws import dynamodb_client

    return dynamodb_client(patient=False)
