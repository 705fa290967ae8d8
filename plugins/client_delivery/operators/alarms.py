"""The lines that alarms count by client."""

from __future__ import annotations

import structlog


def alarm_line(name: str, *, client: str, configuration: str) -> None:
    """A line that an alarm counts by client (``infra/alarms.py``).

    Airflow's task log wraps the lines of :func:`~client_delivery.runtime.events.log_event` into JSON as texts, in which
    CloudWatch finds no fields; what is logged by structlog stays JSON.
    """
    structlog.get_logger(__name__).error("alarm", alarm=name, client=client, configuration=configuration)
