"""Structured log lines: one JSON object per event, which CloudWatch Logs Insights can query (R8.1).

Airflow wraps each into a JSON object of its own, with escaped quotes; ``infra/queries.py`` has queries that take both,
and that no file's name and no server's words can deceive.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig

_CONTROL = {code: f"\\u{code:04x}" for code in (*range(32), 127, *range(0x80, 0xA0), 0x2028, 0x2029)}


LOGGER = logging.getLogger("client_delivery.event")
"""What a task's events are written to. Each has a logger of its own below it, named by the event: where Airflow wraps
the line into another JSON object, its field ``logger`` says which event it is, and no file's name gets there."""


class EventLine(str):
    """A line that :func:`log_event` made."""

    __slots__ = ()


class LineFormatter(logging.Formatter):
    """Makes one JSON object on one line of each record, where each line of a log counts for itself: in a container.

    A traceback, or what a library says of a server, may quote anything, line breaks included; none of its lines is to
    pass for an event.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The event's own line, or a line ``{"event": "log", …}``."""
        if isinstance(record.args, tuple) and len(record.args) == 1 and isinstance(record.args[0], EventLine):
            return record.args[0]
        fields = {"event": "log", "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return as_json(fields)


def as_json(value: Any) -> str:
    """``value`` as JSON on one line that a terminal shows as it is: how a file's name stands in a message."""
    return json.dumps(value, ensure_ascii=False, default=str).translate(_CONTROL)


def one_line(text: str) -> str:
    """``text`` with its control characters as escapes: how a server's words stand in a message."""
    return text.translate(_CONTROL)


def log_event(logger: logging.Logger, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one event, to the child of ``logger`` that has its name.

    ``fields`` are names, counts and states; never a credential.

    File names are untrusted: JSON escapes their control characters, so that no name can forge a line.
    """
    shown = {name: value for name, value in fields.items() if value is not None}
    logger.getChild(event).log(level, "%s", EventLine(as_json({"event": event, **shown})))


def log_client_event(config: ClientConfig | None, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """As :func:`log_event`, with the names of the client (R8.1) where they are known."""
    names = {"configuration": config.name, **client_fields(config.delivery_key)} if config else {}
    log_event(LOGGER, event, level=level, **names, **fields)


def client_fields(delivery_key: str) -> dict[str, str]:
    """How a log line names a client (R8.1): by its H number, and by the delivery key, which tells its feeds apart."""
    return {"client_h_number": delivery_key.partition("#")[0], "delivery_key": delivery_key}
