"""A run's notes for people: log lines, who asked for it, how the client stands. No delivery depends on them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.entry import now
from client_delivery.run.asked import asked
from client_delivery.run.stores import Stores
from client_delivery.runtime.events import log_client_event

if TYPE_CHECKING:
    from datetime import datetime

    from client_delivery.ledger.board import Board
    from client_delivery.ledger.configurations import Begun
    from client_delivery.ledger.entry import Entry
    from client_delivery.ledger.life import RunRef


class Notes(Stores):
    """Notes that cannot be written are logged; none is worth a failed run."""

    owner: RunRef
    params: Mapping[str, Any]

    @property
    def asked(self) -> str:
        """The trigger form's requests beyond the configuration, in words (R9.1)."""
        return asked(self.params, self.config)

    def log_event(self, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """One structured line that names the client (R8.1)."""
        log_client_event(self.config, event, level=level, **fields)

    def note_act(self) -> None:
        """Note who triggered or cleared this run, if a person did. Never raises: no delivery depends on it."""
        from client_delivery.ledger.acts import Acts, triggered

        if not (self.owner.generation or self.asked_by or self.note):
            return
        act = triggered(
            str(self.owner), generation=self.owner.generation, asked=self.asked, by=self.asked_by, why=self.note
        )
        days = self.settings.record_days
        self._note("act_not_noted", lambda table: Acts(self._dynamodb, table).note(self.config.delivery_key, act, days))

    def note_month(self, *, began: str, files: int, size: int, failed: int) -> None:
        """Note the outcome of this run. Never raises: no delivery depends on it."""
        from client_delivery.ledger.months import Months

        # If lines say which files are expected by when, each due time counts instead of each run.
        expected = None if self.config.expected else self.config.expected_every_days
        days = self.last_delivery.days_ago() if expected else None
        self._note(
            "month_not_noted",
            lambda table: Months(self._dynamodb, table).note(
                self.config.delivery_key,
                str(self.owner),
                began=began,
                files=files,
                size=size,
                failed=failed,
                late=None if expected is None or days is None else days > expected,
                keep_days=self.settings.record_days,
            ),
        )

    def note_due(self, key: str, due: datetime, *, late: bool) -> None:
        """Note whether the expected files had come by this due time. Never raises: no delivery depends on it."""
        from client_delivery.ledger.months import Months

        delivery_key, days = self.config.delivery_key, self.settings.record_days
        self._note(
            "month_not_noted",
            lambda table: Months(self._dynamodb, table).note_due(delivery_key, due, key, late=late, keep_days=days),
        )

    def note_change(self, before: Callable[[], Begun | None], configuration: str) -> None:
        """Note the differences between the configuration, as JSON, and the one with which a run began ``before``.

        Never raises: no delivery depends on it.
        """
        self._note("change_not_noted", lambda table: self._note_change(table, before(), configuration))

    def _note_change(self, table: str, before: Begun | None, configuration: str) -> None:
        if before is not None and before.configuration == configuration:
            return
        from client_delivery.ledger.changes import Change, Changes, differences

        told = () if before is None else differences(before.fields, json.loads(configuration))
        if before is None or told:
            change = Change(now(), str(self.owner), told)
            Changes(self._dynamodb, table).note(self.owner.dag_id, change, self.settings.record_days)

    def note_on_board(self, note: Callable[[Board], None]) -> None:
        """Note how the client stands, for people. Never raises: no delivery depends on the board."""
        from client_delivery.ledger.board import Board

        self._note("board_not_noted", lambda table: note(Board(self._dynamodb, table)))

    def _note(self, trouble: str, note: Callable[[str], None]) -> None:
        try:
            note(self.settings.ledger_table)
        except Exception as error:
            self.log_event(trouble, level=logging.WARNING, error=type(error).__name__)

    @property
    def facts(self) -> dict[str, Any]:
        """The board's facts about the configuration."""
        return {
            "deliveryKey": self.config.delivery_key,
            "destination": self.config.destination.uri,
            "place": self.place,
            "expectedEveryDays": self.config.expected_every_days,
            "window": self._window_in_words,
            # If nothing is expected any longer, nothing is late.
            **({} if self.config.expected else {"late": None, "lateAcknowledged": None}),
        }

    @property
    def _window_in_words(self) -> str | None:
        window = self.config.window
        days = f", {window.days}" if window and window.days else ""
        return f"{window.begin} to {window.until}{days} ({self.config.timezone})" if window else None


def file_fields(entry: Entry) -> dict[str, Any]:
    """The fields that name a file in a log line (R8.1); :func:`~client_delivery.runtime.events.client_fields` name its
    client."""
    named = {} if entry.delivered_name is None else {"arrives_as": entry.delivered_name}
    return {
        "file": entry.file_name,
        **named,
        "bytes": entry.size,
        "etag": entry.source_etag,
        "status": entry.status.value,
        "send_attempts": entry.send_attempts,
        "token": entry.fencing_token,
    }
