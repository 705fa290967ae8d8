"""What a task knows of its run: the configuration, the trigger form's parameters, the ledger and the pick-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from delivery.intake import Options, Survey, survey
from delivery.ledger.entry import RunRef
from delivery.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from delivery.config.model import ClientConfig
    from delivery.ledger.last_delivery import LastDelivery
    from delivery.ledger.mail_marks import MailMarks
    from delivery.ledger.table import Ledger
    from delivery.pickup import Pickup
    from delivery.transfer.s3.access import S3Access


@dataclass(frozen=True)
class Run:
    """One life of one DAG run, as its tasks see it."""

    config: ClientConfig
    owner: RunRef
    params: Mapping[str, Any]

    @classmethod
    def of(cls, config: ClientConfig, context: Context) -> Run:
        """The run that ``context`` belongs to."""
        dag_run = context["dag_run"]
        return cls(config, RunRef(dag_run.run_id, getattr(dag_run, "clear_number", None) or 0), context["params"])

    @cached_property
    def settings(self) -> Settings:
        """This environment's settings."""
        return Settings.from_environment()

    @cached_property
    def ledger(self) -> Ledger:
        """The client's part of the ledger."""
        from delivery.ledger.table import Ledger

        return Ledger(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def mail_marks(self) -> MailMarks:
        """Which e-mails of the client have been sent."""
        from delivery.ledger.mail_marks import MailMarks

        return MailMarks(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def last_delivery(self) -> LastDelivery:
        """When the client last got a file."""
        from delivery.ledger.last_delivery import LastDelivery

        return LastDelivery(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def _dynamodb(self) -> DynamoDBClient:
        from delivery.aws import dynamodb_client

        return dynamodb_client()

    @cached_property
    def source_s3(self) -> S3Client:
        """An S3 client that may read the pick-up."""
        from delivery.aws import s3_client

        pickup = self.config.pickup
        return s3_client(region=pickup.region, role_arn=pickup.role_arn, external_id=pickup.external_id)

    @cached_property
    def source_access(self) -> S3Access:
        """The same identity for the transfer engine."""
        from delivery.aws import s3_access

        pickup = self.config.pickup
        return s3_access(region=pickup.region, role_arn=pickup.role_arn, external_id=pickup.external_id)

    @cached_property
    def pickup(self) -> Pickup:
        """The client's pick-up."""
        from delivery.pickup import Pickup

        return Pickup(self.config, self.source_s3)

    @property
    def offload_threshold(self) -> int | None:
        """Bytes from which on a file gets a container of its own (R6.1); None if there are no containers."""
        if self.settings.offload is None:
            return None
        return self.config.offload_threshold or self.settings.offload_threshold

    @property
    def bypass(self) -> bool:
        """Whether files that were sent before are sent again."""
        return bool(self.params["bypass_file_checks"])

    @property
    def needs_done_file(self) -> bool:
        """Whether only a done file lets new files go (R4.3)."""
        return self.config.trigger_on_done_file and not self.params["ignore_done_file"]

    @property
    def notifies(self) -> bool:
        """Whether e-mails are sent (R7.1)."""
        return bool(self.params["send_notifications"])

    def survey(self) -> Survey:
        """Look at what waits, and change nothing."""
        return survey(self.pickup, self.ledger, self.options, needs_done_file=self.needs_done_file)

    @property
    def options(self) -> Options:
        """How this run treats what it finds."""
        return Options(
            owner=self.owner,
            dedupe_by=self.config.dedupe_by,
            bypass=self.bypass,
            resend_failed=bool(self.params["resend_failed"]),
            file_pattern=self.params["file_pattern"] or None,
        )
