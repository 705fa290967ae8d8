"""What differs between environments: one YAML file each in ``infra/environments``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

ENVIRONMENTS = Path(__file__).resolve().parent / "environments"
AIRFLOW_VERSION = "3.2.1"
CONNECTIONS_PREFIX = "airflow/connections"
LogRetention = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""Days that CloudWatch Logs accepts."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Mwaa(_Section):
    """The size of the Airflow environment."""

    environment_class: str = Field("mw1.small", pattern=r"^mw1\.(micro|small|medium|large|xlarge|2xlarge)$")
    min_workers: int = Field(1, ge=1, le=25)
    max_workers: int = Field(4, ge=1, le=25)
    private_webserver: bool = False
    """Whether the UI can be reached from inside the VPC only."""

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if self.environment_class == "mw1.micro" and (self.min_workers, self.max_workers) != (1, 1):
            raise ValueError("mw1.micro has one worker and does not scale: set min_workers and max_workers to 1")
        if self.min_workers > self.max_workers:
            raise ValueError(f"min_workers is {self.min_workers}, more than max_workers, {self.max_workers}")
        return self


class ImportedVpc(_Section):
    """A VPC that exists. It must have a way to S3, DynamoDB, the destinations, and AWS's other services."""

    vpc_id: str = Field(pattern=r"^vpc-")
    private_subnet_ids: tuple[str, str]
    """Two, in different availability zones: MWAA takes no other number."""
    private_route_table_ids: tuple[str, ...] = ()
    """Where the gateway endpoints for S3 and DynamoDB are entered; none: the VPC has them already."""


class Environment(_Section):
    """One environment."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,20}$")
    account: str = Field(pattern=r"^\d{12}$")
    region: str = Field(pattern=r"^[a-z]{2}-[a-z]+-\d$")
    mail_sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    """The address that e-mails come from; its identity is verified in SES."""
    alarm_emails: tuple[str, ...] = Field(min_length=1)
    monthly_budget_usd: float | None = Field(None, gt=0)
    """Told to `alarm_emails` when four fifths of it are spent, or when it looks as if all of it would be. It is the
    whole account's: an environment has an account of its own."""
    mwaa: Mwaa = Mwaa()
    vpc: ImportedVpc | None = None
    """None: a VPC is made."""
    restored_ledger: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{3,255}$")
    """A table that `infra/restore.py` made, to be used in the place of the environment's own."""
    copy_region: str | None = Field(None, pattern=r"^[a-z]{2}-[a-z]+-\d$")
    """A second region that gets a copy of the ledger each night, and of every image when it is pushed. None: nothing
    leaves the region. The ledger has the names of files: where they are kept is for their owner to decide."""
    copies_kept_days: int = Field(35, ge=1)
    """How long each night's copy is kept, in both regions."""
    permissions_boundary: bool = False
    """Whether every role gets the boundary that `infra/pipeline.py` makes. The pipeline's role makes no others."""
    owned_pickup_buckets: tuple[str, ...] = ()
    """Pick-up buckets that this project makes. Others exist already, and are only read and cleared."""
    partner_accounts: tuple[Annotated[str, Field(pattern=r"^\d{12}$")], ...] = ()
    """AWS accounts whose roles (`role_arn`) the clients' configurations may name; this account is none of them unless
    it is listed. A configuration is data, and whom we hand files to is not for data alone to say."""
    kms_keys: tuple[str, ...] = ()
    """ARNs of keys that encrypt pick-ups, where the bucket has one of its own."""
    offload_threshold_bytes: int = Field(10 * 1024**3, gt=0)
    spot: bool = False
    """Whether big copies run on Fargate Spot."""
    log_retention_days: LogRetention = 400
    event_bus: str | None = Field(None, pattern=r"^[A-Za-z0-9/_.:-]{1,1600}$")
    """The EventBridge bus that gets an event for each delivery that has ended, by name or ARN; it exists already. None:
    there are no events, and nobody may put any."""
    asset_events: bool = False
    """Whether each client's DAG announces delivered files with an Airflow asset."""
    airflow_history_days: int = Field(30, ge=7)
    """What Airflow's UI remembers of runs; the ledger remembers everything. A failed run can be cleared for so long."""
    key_max_age_days: int = Field(0, ge=0, le=3650)
    """The age at which keys are to be renewed; the rules with ``expiring`` hear of it before. 0: none is watched."""
    record_days: int = Field(2557, ge=30, le=36_500)
    """How long the record of deliveries keeps each of them: seven years. A change concerns what is recorded from then
    on."""

    @property
    def prefix(self) -> str:
        """What the names of this environment's resources begin with."""
        return f"client-delivery-{self.name}"

    @property
    def boundary_policy(self) -> str:
        """The name of the policy that limits all roles. Not below the prefix: the pipeline may write what is there."""
        return f"boundary-{self.prefix}"

    @property
    def own_ledger_table(self) -> str:
        """The name of the table that the data stack makes."""
        return f"{self.prefix}-ledger"

    @property
    def ledger_table(self) -> str:
        """The name of the ledger that is used: that table, or one that was restored in its place."""
        return self.restored_ledger or self.own_ledger_table

    @property
    def airflow_role(self) -> str:
        """The name of the role that MWAA's workers have; partners know it."""
        return f"{self.prefix}-airflow"

    @property
    def container_role(self) -> str:
        """The name of the role that transfer containers have; partners know it."""
        return f"{self.prefix}-transfer"

    @property
    def delivering_roles(self) -> tuple[str, str]:
        """The names of the roles that carry clients' files."""
        return self.airflow_role, self.container_role

    @property
    def ses_configuration_set(self) -> str:
        """What SES does with every e-mail that is sent under this name: it reports bounces and complaints."""
        return self.prefix

    @property
    def vault(self) -> str:
        """Where the ledger's copies are; the same name in both regions."""
        return f"{self.prefix}-ledger"

    @model_validator(mode="after")
    def _copies_are_elsewhere(self) -> Self:
        if self.copy_region == self.region:
            raise ValueError(f"copy_region is {self.region}, the environment's own: name another one, or none")
        return self

    @property
    def bucket(self) -> str:
        """MWAA's bucket: DAGs, YAML, plugins, requirements."""
        return f"{self.prefix}-airflow-{self.account}"

    @property
    def prepared_bucket(self) -> str:
        """Where files lie while they are delivered compressed or encrypted."""
        return f"{self.prefix}-prepared-{self.account}"

    @property
    def access_logs_bucket(self) -> str:
        """Who read which object of the other buckets."""
        return f"{self.prefix}-access-logs-{self.account}"

    @property
    def airflow_log_groups(self) -> tuple[str, ...]:
        """Where MWAA writes; the names are MWAA's."""
        return tuple(
            f"airflow-{self.prefix}-{part}" for part in ("DAGProcessing", "Scheduler", "Task", "WebServer", "Worker")
        )

    @property
    def task_log_group(self) -> str:
        """The one of the tasks."""
        return f"airflow-{self.prefix}-Task"

    @property
    def container_log_group(self) -> str:
        """Where the transfer containers' lines go."""
        return f"/ecs/{self.prefix}-transfer"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of something in this environment's region and account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


class SettingsError(Exception):
    """An environment's file is missing or wrong. The message says where and what."""


def load(name: str, directory: Path = ENVIRONMENTS) -> Environment:
    """Read one environment's file. Raises :class:`SettingsError`."""
    path = directory / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in directory.glob("*.yaml"))) or "none"
        raise SettingsError(f"There is no environment {name!r}: {path} does not exist. There are: {known}.")
    try:
        return Environment.model_validate({"name": name, **(yaml.safe_load(path.read_text()) or {})})
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors()]
        raise SettingsError(f"{path} is not right:\n" + "\n".join(lines)) from None
    except (yaml.YAMLError, TypeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
