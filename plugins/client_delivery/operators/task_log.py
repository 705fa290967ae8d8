"""Task logs are for people: sentences beside the events, and nothing that others say to nobody.

All of it concerns the process of one task, which ends with it.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import MutableMapping
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowException

from client_delivery.runtime.events import EventLine
from client_delivery.runtime.words import in_words

_PROJECT = "client_delivery"
_SENTENCES = "deliveries"
_CHATTY = ("botocore.credentials", "botocore.configprovider", "aiobotocore.credentials")
"""They say at each client where its credential and its endpoint were found."""


class Sentences(logging.Handler):
    """Says in words, in a line before it, what an event's JSON says."""

    def emit(self, record: logging.LogRecord) -> None:
        """Nothing for what is no event, or has no sentence."""
        if isinstance(record.args, tuple) and len(record.args) == 1 and isinstance(record.args[0], EventLine):
            try:
                sentence = in_words(json.loads(record.args[0]))
            except (KeyError, TypeError, ValueError):
                return  # the event itself is still logged
            if sentence:
                logging.getLogger(_SENTENCES).log(record.levelno, "%s", sentence)


def for_people() -> None:
    """Arrange the log of this task's process; doing it twice does no harm."""
    project = logging.getLogger(_PROJECT)
    if not any(isinstance(handler, Sentences) for handler in project.handlers):
        project.addHandler(Sentences())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    processors = structlog.get_config()["processors"]
    if without_traceback not in processors:
        # In place: loggers that are bound already hold this very list.
        processors.insert(0, without_traceback)


def without_traceback(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Airflow logs what ends a task with its traceback. Where the message was written for people, it stands alone.

    Those are Airflow's own exceptions, raised by this project's operators, that no other exception explains.
    """
    error = _error_of(event.get("exc_info"))
    if isinstance(error, AirflowException) and error.__cause__ is None and _raised_by_us(error):
        del event["exc_info"]
        event["event"] = f"Failed: {error}"  # a line of ours must not begin with the words of others
    return event


def _error_of(exc_info: Any) -> BaseException | None:
    if exc_info is True:
        return sys.exc_info()[1]
    if isinstance(exc_info, tuple):
        found = exc_info[1]
        return found if isinstance(found, BaseException) else None
    return exc_info if isinstance(exc_info, BaseException) else None


def _raised_by_us(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith(f"{_PROJECT}.")
