"""R2.6: a wrong configuration is seen, not silently absent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from delivery.events import log_event

if TYPE_CHECKING:
    from airflow.sdk import Context


_CLIENTS = (
    "Nothing is delivered for this client until its file is corrected; `make check-config` shows the same messages "
    "before a file is deployed."
)


class ConfigurationErrorOperator(BaseOperator):
    """Fails, and says what is wrong with the client's file.

    :param message: file, line, field, what was found and what is accepted.
    :param advice: what it means, and what to do.
    """

    def __init__(self, *, message: str, advice: str = _CLIENTS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.message = message
        self.advice = advice

    def execute(self, context: Context) -> None:
        """Always raises."""
        log_event(logging.getLogger(__name__), "configuration_wrong", level=logging.ERROR, configuration=self.dag_id)
        raise AirflowFailException(f"{self.message}\n{self.advice}")
