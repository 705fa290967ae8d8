"""Where a run keeps what it knows, and where its files wait: the client's parts of the ledger's table, its pick-up."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from client_delivery.runtime.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.acknowledgements import Acknowledgements
    from client_delivery.ledger.done_file_lines import DoneFileLines
    from client_delivery.ledger.drops import Drops
    from client_delivery.ledger.expectations import Expectations
    from client_delivery.ledger.given_names import GivenNames
    from client_delivery.ledger.history import History
    from client_delivery.ledger.last_delivery import LastDelivery
    from client_delivery.ledger.mail_marks import MailMarks
    from client_delivery.ledger.numbers import Numbers
    from client_delivery.ledger.orders import Orders
    from client_delivery.ledger.record import Request
    from client_delivery.ledger.registry import Registry
    from client_delivery.ledger.sets import Sets
    from client_delivery.ledger.table import Ledger
    from client_delivery.ledger.unsent_mail import UnsentMail
    from client_delivery.ledger.watched_keys import WatchedKeys
    from client_delivery.pickup.disposal import Disposal
    from client_delivery.pickup.pickup import Pickup
    from client_delivery.transfer.s3_wire.access import S3Access

_LONGEST_NOTE = 1000
"""Characters of a run's note that are kept with each of its files: that is what Airflow takes."""


class Stores:
    """Each is opened when it is first asked for: most steps need few of them, and each costs an import."""

    config: ClientConfig
    asked_by: str | None
    note: str | None

    @cached_property
    def settings(self) -> Settings:
        """This environment's settings."""
        return Settings.from_environment()

    @cached_property
    def ledger(self) -> Ledger:
        """The client's part of the ledger."""
        from client_delivery.ledger.table import Ledger

        return Ledger(self._dynamodb, self.settings.ledger_table, self.config.delivery_key, request=self._request)

    @property
    def _request(self) -> Request:
        from client_delivery.ledger.record import Request

        note = self.note[:_LONGEST_NOTE] if self.note else None
        return Request(self.asked_by, note, self.settings.record_days)

    @cached_property
    def mail_marks(self) -> MailMarks:
        """Which e-mails of the client have been sent."""
        from client_delivery.ledger.mail_marks import MailMarks

        return MailMarks(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def unsent_mail(self) -> UnsentMail:
        """Which e-mails of the client did not go to everybody."""
        from client_delivery.ledger.unsent_mail import UnsentMail

        return UnsentMail(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def last_delivery(self) -> LastDelivery:
        """When the client last got a file."""
        from client_delivery.ledger.last_delivery import LastDelivery

        return LastDelivery(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def expectations(self) -> Expectations:
        """What is known of the files that the client expects."""
        from client_delivery.ledger.expectations import Expectations

        return Expectations(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def watched_keys(self) -> WatchedKeys:
        """What is known of the client's keys."""
        from client_delivery.ledger.watched_keys import WatchedKeys

        return WatchedKeys(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def acknowledgements(self) -> Acknowledgements:
        """Which deliveries the client's recipient has acknowledged."""
        from client_delivery.ledger.acknowledgements import Acknowledgements

        return Acknowledgements(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def drops(self) -> Drops:
        """Which arrival has started a run of the client."""
        from client_delivery.ledger.drops import Drops

        return Drops(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def history(self) -> History:
        """The record of deliveries."""
        from client_delivery.ledger.history import History

        return History(self._dynamodb, self.settings.ledger_table)

    @cached_property
    def orders(self) -> Orders:
        """Where containers' orders are left that are too long for ECS."""
        from client_delivery.ledger.orders import Orders

        return Orders(self._dynamodb, self.settings.ledger_table, self.config.delivery_key)

    @cached_property
    def registry(self) -> Registry:
        """Under which delivery keys the pick-up has been delivered."""
        from client_delivery.ledger.registry import Registry

        pickup = self.config.pickup
        return Registry(self._dynamodb, self.settings.ledger_table, pickup.bucket, pickup.prefix)

    @cached_property
    def numbers(self) -> Numbers:
        """The numbers in the names under which the pick-up's files arrive."""
        from client_delivery.ledger.numbers import Numbers

        pickup = self.config.pickup
        return Numbers(self._dynamodb, self.settings.ledger_table, pickup.bucket, pickup.prefix)

    @cached_property
    def set_numbers(self) -> Numbers:
        """The numbers in the names of completion files."""
        from client_delivery.ledger.numbers import Numbers

        pickup = self.config.pickup
        return Numbers(self._dynamodb, self.settings.ledger_table, pickup.bucket, pickup.prefix, kind="set-number")

    @cached_property
    def sets(self) -> Sets:
        """Which files were registered together."""
        from client_delivery.ledger.sets import Sets

        pickup = self.config.pickup
        return Sets(self._dynamodb, self.settings.ledger_table, pickup.bucket, pickup.prefix)

    @cached_property
    def done_file_lines(self) -> DoneFileLines:
        """What the done files said with which the pick-up's files came."""
        from client_delivery.ledger.done_file_lines import DoneFileLines

        pickup = self.config.pickup
        return DoneFileLines(self._dynamodb, self.settings.ledger_table, pickup.bucket, pickup.prefix)

    @cached_property
    def given_names(self) -> GivenNames:
        """The names under which the pick-up's files have arrived, or are to."""
        from client_delivery.ledger.given_names import GivenNames

        pickup = self.config.pickup
        return GivenNames(self._dynamodb, self.settings.ledger_table, pickup.bucket, pickup.prefix)

    @cached_property
    def delivery_keys(self) -> list[str]:
        """The pick-up's delivery keys so far, the one in use last, as they were when this task began."""
        return self.registry.delivery_keys()

    @cached_property
    def earlier_ledgers(self) -> list[Ledger]:
        """Where the history of the pick-up is, beside the ledger in use (R3.7)."""
        from client_delivery.ledger.table import Ledger

        own = self.config.delivery_key
        keys = self.delivery_keys or ([self.config.client_h_number] if self.config.feed else [])
        return [Ledger(self._dynamodb, self.settings.ledger_table, key) for key in keys if key != own]

    @property
    def place(self) -> str:
        """What the path of every file of the pick-up begins with."""
        return f"s3://{self.config.pickup.bucket}/{self.config.pickup.prefix}"

    @cached_property
    def pickup(self) -> Pickup:
        """The client's pick-up."""
        from client_delivery.pickup.pickup import Pickup

        return Pickup(self.config, self.source_s3)

    @cached_property
    def disposal(self) -> Disposal:
        """What becomes of files that are dealt with (R5.8)."""
        from client_delivery.pickup.disposal import Disposal

        return Disposal(self.config, self.pickup, lambda: self.source_access)

    @cached_property
    def source_s3(self) -> S3Client:
        """An S3 client that may read the pick-up."""
        from client_delivery.access.aws import identity_for, s3_client

        return s3_client(**identity_for(self.config.pickup))

    @cached_property
    def source_access(self) -> S3Access:
        """The same identity for the transfer engine."""
        from client_delivery.access.aws import identity_for, s3_access

        return s3_access(**identity_for(self.config.pickup))

    @cached_property
    def _dynamodb(self) -> DynamoDBClient:
        from client_delivery.access.aws import dynamodb_client

        return dynamodb_client()
