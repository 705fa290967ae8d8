"""What every task of a delivery has in common."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from delivery.events import log_event
from delivery.operators.run import Run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from delivery.config.model import ClientConfig


class DeliveryOperator(BaseOperator):
    """An operator that works for one client's configuration.

    :param config: the client's configuration; it holds no credential.
    """

    def __init__(self, *, config: ClientConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config

    def run_of(self, context: Context) -> Run:
        """What this task knows of its run."""
        return Run.of(self.config, context)

    def log_event(self, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """One structured line that names the client (R8.1)."""
        log_event(
            logging.getLogger(__name__),
            event,
            level=level,
            configuration=self.config.name,
            client_h_number=self.config.delivery_key,
            **fields,
        )
