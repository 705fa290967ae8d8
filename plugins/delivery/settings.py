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
class OffloadSettings:
    """Where the containers for big files run."""

    cluster: str
    task_definition: str
    """Family, or family and revision."""
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    container: str = "transfer"
    """The container's name in the task definition."""
    log_group: str = ""
    log_stream_prefix: str = "transfer"
    spot: bool = False
    """Whether Fargate Spot is tried first. An interrupted container resumes, but starts again."""
    poll_seconds: int = 15


@dataclass(frozen=True)
class Settings:
    """Where this environment keeps its ledger, how it sends mail, and how it splits work."""

    ledger_table: str
    mail_sender: str = ""
    """The address that e-mails come from; verified in SES."""
    ses_connection_id: str = "aws_default"
    ses_configuration_set: str = ""
    """The SES configuration set whose event destination tells of bounces and complaints."""
    environment: str = ""
    """Shown in e-mails, for example ``staging``; empty in production."""
    gcs_endpoint: str = "https://storage.googleapis.com"
    offload_threshold: int = 10 * 1024**3
    """Bytes from which on a file goes to ECS, where a configuration says nothing else. Below about this a worker is
    done before a container has paid for its start (docs/operators/offloading.md)."""
    offload: OffloadSettings | None = None
    """None: there is no cluster, and everything stays on the workers."""
    connections_prefix: str = "airflow/connections"
    """Where the container finds what is an Airflow connection on a worker, in Secrets Manager."""
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
        offload = None
        if text("ecs_cluster") and text("ecs_task_definition"):
            offload = OffloadSettings(
                cluster=text("ecs_cluster"),
                task_definition=text("ecs_task_definition"),
                subnets=_listed(text("ecs_subnets")),
                security_groups=_listed(text("ecs_security_groups")),
                container=text("ecs_container", OffloadSettings.container),
                log_group=text("ecs_log_group"),
                log_stream_prefix=text("ecs_log_stream_prefix", OffloadSettings.log_stream_prefix),
                spot=text("ecs_spot").lower() == "true",
                poll_seconds=int(number("ecs_poll_seconds", None) or OffloadSettings.poll_seconds),
            )
        return cls(
            ledger_table=table,
            mail_sender=text("mail_sender"),
            ses_connection_id=text("ses_connection_id", cls.ses_connection_id),
            ses_configuration_set=text("ses_configuration_set"),
            environment=text("environment"),
            gcs_endpoint=text("gcs_endpoint", cls.gcs_endpoint),
            offload_threshold=int(number("offload_threshold", None) or cls.offload_threshold),
            offload=offload,
            connections_prefix=text("connections_prefix", cls.connections_prefix),
            worker_batches=int(number("worker_batches", cls.worker_batches) or cls.worker_batches),
        )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
