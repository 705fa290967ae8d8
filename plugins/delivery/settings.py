"""The settings of one environment. MWAA turns its Airflow configuration options ``delivery.<name>`` into exactly the
variables ``AIRFLOW__DELIVERY__<NAME>`` that are read here; the ECS container gets the same ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_PREFIX = "AIRFLOW__DELIVERY__"


class SettingsError(Exception):
    """A setting is missing or unusable. The message names the variable and what it must hold."""


def setting(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """One setting as it stands in the environment; empty if it is not set."""
    return environment.get(_PREFIX + name.upper(), "").strip()


@dataclass(frozen=True)
class Settings:
    """Where this environment keeps its ledger, how it sends mail, and how it splits work."""

    ledger_table: str
    mail_sender: str = ""
    """The address that e-mails come from; verified in SES."""
    ses_connection_id: str = "aws_default"
    environment: str = ""
    """Shown in e-mails, for example ``staging``; empty in production."""
    gcs_endpoint: str = "https://storage.googleapis.com"
    offload_threshold: int | None = None
    """Bytes from which on a file goes to ECS; None: everything stays on the workers."""
    worker_batches: int = 4
    """Into how many task instances a run's files are split at most."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings. Raises :class:`SettingsError`."""

        def text(name: str, default: str = "") -> str:
            return setting(name, environment) or default

        def number(name: str, default: float | None) -> float | None:
            value = text(name)
            if value and not value.replace(".", "", 1).isdigit():
                raise SettingsError(
                    f"{_PREFIX}{name.upper()}: found {value!r}, expected a number that is not negative."
                )
            return float(value) if value else default

        table = text("ledger_table")
        if not table:
            raise SettingsError(
                f"{_PREFIX}LEDGER_TABLE is not set: expected the name of the DynamoDB ledger table. On MWAA set the "
                "Airflow configuration option delivery.ledger_table."
            )
        threshold = number("offload_threshold", None)
        return cls(
            ledger_table=table,
            mail_sender=text("mail_sender"),
            ses_connection_id=text("ses_connection_id", cls.ses_connection_id),
            environment=text("environment"),
            gcs_endpoint=text("gcs_endpoint", cls.gcs_endpoint),
            offload_threshold=None if threshold is None else int(threshold),
            worker_batches=int(number("worker_batches", cls.worker_batches) or cls.worker_batches),
        )
