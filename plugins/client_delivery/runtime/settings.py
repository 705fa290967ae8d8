"""The settings of one environment. MWAA turns its Airflow configuration options ``delivery.<name>`` into exactly the
variables ``AIRFLOW__DELIVERY__<NAME>`` that are read here; the ECS container gets the same ones.

All of them are fields of :class:`Settings`; docs/operators/settings.md is made from it. What is wrong with them is told
in one place, the DAG ``delivery-settings`` (:func:`problems`), and takes no client down: a setting that cannot be used
counts as not set. Only the ledger's table has no default.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PREFIX = "AIRFLOW__DELIVERY__"
_NO_TABLE = f"{PREFIX}LEDGER_TABLE is not set: expected the name of the DynamoDB ledger table."


class SettingsError(Exception):
    """A setting that there must be is missing. The message names the variable and what it must hold."""


@dataclass(frozen=True)
class OffloadSettings:
    """Where the containers for big files run."""

    cluster: str
    task_definition: str
    """Family, or family and revision."""
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    container: str
    """The container's name in the task definition."""
    log_group: str
    log_stream_prefix: str
    spot: bool
    """Whether to try Fargate Spot first. An interrupted transfer resumes in a new container."""
    poll_seconds: int


def _boolean(value: Any) -> Any:
    """``true`` or ``false`` as Airflow's own options have them; pydantic would take ``y``, ``on`` and ``1`` as well."""
    if isinstance(value, str) and value.lower() not in ("true", "false"):
        raise ValueError("no boolean")
    return value


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


def _field(default: Any, description: str, expected: str, **constraints: Any) -> Any:
    """A setting; ``expected`` completes *found …, expected …*."""
    return Field(default=default, description=description, json_schema_extra={"expected": expected}, **constraints)


_Boolean = Annotated[bool, BeforeValidator(_boolean)]
_Ids = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], ...], BeforeValidator(_listed), Field(max_length=16)
]
_Addresses = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]{3,45}$")], ...], BeforeValidator(_listed), Field(max_length=16)
]
_NAME = r"^[^\s,]+$"
_PATH = r"^\S(.*\S)?$"


class Settings(BaseModel):
    """Where this environment keeps its ledger, how it sends mail, and how it splits work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ledger_table: str = _field(
        "", "The DynamoDB table of the ledger. Must be set.", "the name of the DynamoDB ledger table", pattern=_NAME
    )
    mail_sender: str = _field(
        "",
        "The address that e-mails come from; verified in SES.",
        "an e-mail address, or a name and an address in <>",
        pattern=r"^[^@]+@[^@\s]+$",
    )
    ses_connection_id: str = _field(
        "aws_default", "The Airflow connection that e-mails are sent with.", "an Airflow connection id", pattern=_NAME
    )
    ses_configuration_set: str = _field(
        "",
        "The SES configuration set whose event destination reports bounces and complaints.",
        "the name of an SES configuration set",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
    )
    event_bus: str = _field(
        "",
        "The EventBridge bus, by name or ARN, that gets one event at the end of each delivery "
        "([events](events.md)). Without it there are no events.",
        "the name or ARN of an EventBridge bus",
        pattern=r"^[A-Za-z0-9/_.:-]{1,1600}$",
    )
    asset_events: _Boolean = _field(
        False,
        "Whether each client's DAG announces delivered files with an Airflow asset, so that other DAGs can "
        "continue with them ([events](events.md)). It costs one more task in each run that delivers.",
        "true or false",
    )
    environment: str = _field(
        "", "Shown in e-mails, for example `staging`; not set in production.", "a short name", max_length=64
    )
    gcs_endpoint: str = _field(
        "https://storage.googleapis.com",
        "The URL of Google Cloud Storage.",
        "a URL without a path, such as https://storage.googleapis.com",
        pattern=r"^https?://[^/\s]+$",
    )
    configs_directory: str = _field(
        "",
        "The directory of the clients' YAML files. Defaults to `include/client_configs` in the DAGs' folder, or "
        "beside it.",
        "a directory",
        pattern=_PATH,
    )
    retry_delay: float = _field(
        60,
        "Seconds before a task is retried, doubled with each try.",
        "a number of seconds, 0 to 900",
        ge=0,
        le=900,
    )
    arrival_seconds: int = _field(
        45,
        "Seconds between two looks at the pick-up of a client with `trigger: on_arrival` ([what they cost]"
        "(costs.md#runs-on-arrival)).",
        "a whole number of seconds, 5 to 3600",
        ge=5,
        le=3600,
    )
    mwaa_environment: str = _field(
        "",
        "The MWAA environment's own name. Without it Airflow's database is not cleaned ([upkeep](upkeep.md)).",
        "an MWAA environment's name",
        pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,79}$",
    )
    airflow_history_days: int = _field(
        30,
        "How many days of its own history Airflow's database keeps.",
        "a whole number of days, 1 to 3650",
        ge=1,
        le=3650,
    )
    record_days: int = _field(
        2557,
        "How many days the record keeps each delivery. Seven years by default.",
        "a whole number of days, 30 to 36500",
        ge=30,
        le=36_500,
    )
    key_max_age_days: int = _field(
        0,
        "The age at which SSH keys, host keys, service-account keys and OpenPGP keys must be renewed, counted "
        "from the day on which a run first saw each. Rules with `expiring` are told 30, 7 and 1 days before. "
        "0: no age is watched, only the date on which an OpenPGP key expires.",
        "a whole number of days, 0 to 3650",
        ge=0,
        le=3650,
    )
    outgoing_addresses: _Addresses = _field(
        (),
        "The addresses from which partners see deliveries come, for their firewalls. They are shown when a "
        "destination is tested and in a partner's sheet, and do not affect deliveries.",
        "IP addresses with commas between them",
    )
    worker_batches: int = _field(
        4,
        "The largest number of task instances that a run's files are split into.",
        "a whole number, 1 to 64",
        ge=1,
        le=64,
    )
    offload_threshold: int = _field(
        10 * 1024**3,
        "Files of at least this many bytes go to a container, unless a configuration says otherwise. A worker sends "
        "a smaller file before a container has started ([offloading](offloading.md)).",
        "a number of bytes, 1 or more",
        ge=1,
    )
    prepared_location: str = _field(
        "",
        "The place in S3 for compressed or encrypted files while they are delivered. It holds nothing else, "
        "and its objects expire after seven days. Only needed for clients with `compress` or `encrypt` "
        "([encrypting and compressing](../dextr/treatment.md)).",
        "a bucket and a prefix that ends with '/', such as s3://example-prepared/",
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?:[^\s/]+/)*$",
    )
    connections_prefix: str = _field(
        "airflow/connections",
        "The prefix in Secrets Manager of the secrets that a worker reads as Airflow connections; a container "
        "reads them there too.",
        "a prefix of secrets' names, without '/' at its end",
        pattern=r"^[^\s]*[^\s/]$",
    )
    ecs_cluster: str = _field(
        "",
        "The cluster that runs containers. Without it, the workers send everything.",
        "a cluster's name",
        pattern=_NAME,
    )
    ecs_task_definition: str = _field(
        "",
        "The containers' task definition: family, or family and revision.",
        "a task definition's family",
        pattern=_NAME,
    )
    ecs_subnets: _Ids = _field(
        (), "The containers' subnets, with outbound access to the destinations.", "ids with commas between them"
    )
    ecs_security_groups: _Ids = _field((), "The containers' security groups.", "ids with commas between them")
    ecs_container: str = _field(
        "transfer", "The container's name in the task definition.", "a container's name", pattern=_NAME
    )
    ecs_log_group: str = _field(
        "", "As in the task definition's `awslogs` options.", "a log group's name", pattern=_NAME
    )
    ecs_log_stream_prefix: str = _field(
        "transfer", "As in the task definition's `awslogs` options.", "a log stream's prefix", pattern=_NAME
    )
    ecs_spot: _Boolean = _field(
        False,
        "Whether to try Fargate Spot first. An interrupted transfer resumes in a new container.",
        "true or false",
    )
    ecs_poll_seconds: int = _field(
        15,
        "Seconds between two checks whether a container has ended.",
        "a whole number of seconds, 1 to 300",
        ge=1,
        le=300,
    )

    @property
    def offload(self) -> OffloadSettings | None:
        """None: there is no cluster, and everything stays on the workers."""
        if not (self.ecs_cluster and self.ecs_task_definition):
            return None
        return OffloadSettings(
            cluster=self.ecs_cluster,
            task_definition=self.ecs_task_definition,
            subnets=self.ecs_subnets,
            security_groups=self.ecs_security_groups,
            container=self.ecs_container,
            log_group=self.ecs_log_group,
            log_stream_prefix=self.ecs_log_stream_prefix,
            spot=self.ecs_spot,
            poll_seconds=self.ecs_poll_seconds,
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """What can be used of the settings. Raises :class:`SettingsError` if the ledger's table is not among them."""
        settings, found = read(environment)
        if not settings.ledger_table:
            name = f"{PREFIX}LEDGER_TABLE"
            text = next((problem for problem in found if name in problem), _NO_TABLE)
            raise SettingsError(f"{text} On MWAA set the Airflow configuration option delivery.ledger_table.")
        return settings


def setting(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """One setting that can be used, as text; its default, or nothing, if it is not set or wrong."""
    value = getattr(read(environment)[0], name)
    return str(value) if value or value == 0 else ""


def read(environment: Mapping[str, str] = os.environ) -> tuple[Settings, list[str]]:
    """What can be used of the settings, whatever is wrong with the others; and what is, one sentence for each."""
    given = {
        name[len(PREFIX) :].lower(): value.strip()
        for name, value in environment.items()
        if name.startswith(PREFIX) and value.strip()
    }
    found = [_unknown(name) for name in sorted(given.keys() - Settings.model_fields.keys())]
    usable = {name: value for name, value in given.items() if name in Settings.model_fields}
    while True:
        try:
            settings = Settings.model_validate(usable)
            break
        except ValidationError as error:
            for name in sorted({str(problem["loc"][0]) for problem in error.errors()}):
                found.append(f"{PREFIX}{name.upper()}: found {usable.pop(name)!r}, expected {_expected(name)}.")
    directory = settings.configs_directory
    if directory and not Path(directory).is_dir():
        found.append(f"{PREFIX}CONFIGS_DIRECTORY: found {directory!r}, expected a directory that exists.")
        settings = settings.model_copy(update={"configs_directory": ""})
    return settings, found + _together(settings, usable)


def problems(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What is wrong with the settings, one sentence for each; none if nothing is."""
    settings, found = read(environment)
    if not settings.ledger_table and not any("LEDGER_TABLE" in problem for problem in found):
        found.append(_NO_TABLE)
    return found


def _together(settings: Settings, given: Mapping[str, str]) -> list[str]:
    """Half of what belongs together."""
    pair = ("ecs_cluster", "ecs_task_definition")
    there = [name for name in given if name.startswith("ecs_")]
    missing = [name for name in pair if not getattr(settings, name)]
    if not there or not missing:
        return []
    names = " and ".join(f"{PREFIX}{name.upper()}" for name in missing)
    verb = "is" if len(missing) == 1 else "are"
    return [
        f"{names} {verb} not set, and {PREFIX}{there[0].upper()} is: no container is used, and everything stays on the "
        "workers. Set cluster and task definition, or none of the ecs_ settings."
    ]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    hint = f" Did you mean {PREFIX}{near[0].upper()}?" if near else ""
    # Not its value: it may be a credential, which belongs in Secrets Manager.
    return f"{PREFIX}{name.upper()}: there is no such setting.{hint}"


def _expected(name: str) -> str:
    extra = Settings.model_fields[name].json_schema_extra
    return str(extra["expected"]) if isinstance(extra, dict) else ""
