"""What every step of a run works on: the configuration, the trigger form's parameters, the ledger and the pick-up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.entry import RunRef, Status
from client_delivery.pickup.intake import Options
from client_delivery.pickup.recognition import Recognition, Rules
from client_delivery.pickup.survey import Findings, Survey, look
from client_delivery.run.asked import asked
from client_delivery.run.destination import destination_of
from client_delivery.runtime.events import log_client_event
from client_delivery.runtime.settings import Settings
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.naming import is_deliverable

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.board import Board
    from client_delivery.ledger.configurations import Begun, Configurations
    from client_delivery.ledger.entry import Entry
    from client_delivery.ledger.expectations import Expectations
    from client_delivery.ledger.history import History
    from client_delivery.ledger.last_delivery import LastDelivery
    from client_delivery.ledger.mail_marks import MailMarks
    from client_delivery.ledger.orders import Orders
    from client_delivery.ledger.record import Request
    from client_delivery.ledger.registry import Registry
    from client_delivery.ledger.table import Ledger
    from client_delivery.ledger.unsent_mail import UnsentMail
    from client_delivery.pickup.disposal import Disposal
    from client_delivery.pickup.guards import Guards
    from client_delivery.pickup.pickup import Pickup
    from client_delivery.transfer.contract import Destination
    from client_delivery.transfer.s3.access import S3Access
    from client_delivery.transfer.secret import Secret

_UNDER_WAY = ("queued", "running")
_LONGEST_NOTE = 1000
"""Characters of a run's note that are kept with each of its files: that is what Airflow takes."""


def _no_secret(connection_id: str) -> Secret:
    raise DestinationUnavailable(f"Nobody here knows the connection {connection_id!r}.")


@dataclass(frozen=True)
class Run:
    """One life of one DAG run, as its steps see it."""

    config: ClientConfig
    owner: RunRef
    params: Mapping[str, Any]
    state_of: Callable[[RunRef], str | None] = lambda ref: None
    """Airflow's state of another run; None if there is no such run (any more)."""
    asked_by: str | None = None
    """The user who triggered the run, as Airflow knows them. Who cleared it, Airflow does not tell its tasks."""
    note: str | None = None
    """The run's note, as it was when this task began."""
    secret_of: Callable[[str], Secret] = _no_secret
    """The credential of a connection id."""
    stop_containers: Callable[[str, str], Sequence[str]] = lambda delivery_key, reason: ()
    """Stops what still runs in ECS for a delivery key, and says why; returns the tasks' ARNs."""

    def log_event(self, event: str, *, level: int = logging.INFO, **fields: Any) -> None:
        """One structured line that names the client (R8.1)."""
        log_client_event(self.config, event, level=level, **fields)

    @staticmethod
    def begun(owner: RunRef) -> Begun | None:
        """With what the latest run of this DAG that had files in hand began (R4.7)."""
        return _configurations().get(owner.dag_id)

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

    def begin(self) -> None:
        """The run has files in hand from now on: whatever happens to the file, it ends as it began (R4.7)."""
        configuration = self.config.model_dump_json(exclude_defaults=True)
        _configurations().begin(self.owner.dag_id, self.owner, configuration, self.params)

    def end(self) -> None:
        """The run has no files in hand any more."""
        _configurations().end(self.owner.dag_id, self.owner)

    @staticmethod
    def forget(begun: Begun) -> None:
        """That run is over, and another has set inactive what it had in hand."""
        _configurations().end(begun.name, begun.life)

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
    def history(self) -> History:
        """The record of deliveries."""
        from client_delivery.ledger.history import History

        return History(self._dynamodb, self.settings.ledger_table)

    def closed_until(self, moment: datetime) -> datetime | None:
        """When the client's window opens, if sending may not begin at that moment."""
        window = self.config.sending_window
        if window is None or self.params.get("ignore_window") or window.is_open(moment):
            return None
        return window.opens(moment) or moment.replace(year=moment.year + 1)

    def note_act(self) -> None:
        """Keep who triggered or cleared this run, if a person did. Never raises: no delivery goes by it."""
        from client_delivery.ledger.acts import Acts, triggered

        if not (self.owner.generation or self.asked_by or self.note):
            return
        act = triggered(
            str(self.owner), generation=self.owner.generation, asked=self.asked, by=self.asked_by, why=self.note
        )
        days = self.settings.record_days
        self._note("act_not_noted", lambda table: Acts(self._dynamodb, table).note(self.config.delivery_key, act, days))

    def note_month(self, *, began: str, files: int, size: int, failed: int) -> None:
        """Keep what came of this run. Never raises: no delivery goes by it."""
        from client_delivery.ledger.months import Months

        expected = self.config.expected_every_days
        days = self.last_delivery.days_ago() if expected else None
        self._note(
            "month_not_noted",
            lambda table: Months(self._dynamodb, table).note(
                self.config.delivery_key,
                str(self.owner),
                began=began,
                files=files,
                size=size,
                failed=failed,
                late=None if expected is None or days is None else days > expected,
                keep_days=self.settings.record_days,
            ),
        )

    def note_on_board(self, note: Callable[[Board], None]) -> None:
        """Note how the client stands, for people. Never raises: no delivery goes by the board."""
        from client_delivery.ledger.board import Board

        self._note("board_not_noted", lambda table: note(Board(self._dynamodb, table)))

    def _note(self, trouble: str, note: Callable[[str], None]) -> None:
        try:
            note(self.settings.ledger_table)
        except Exception as error:
            self.log_event(trouble, level=logging.WARNING, error=type(error).__name__)

    @property
    def facts(self) -> dict[str, Any]:
        """What the board says of the configuration."""
        return {
            "deliveryKey": self.config.delivery_key,
            "destination": self.config.destination.uri,
            "place": self.place,
            "expectedEveryDays": self.config.expected_every_days,
            # Where nothing is expected any more, nothing is late.
            **({} if self.config.expected else {"late": None}),
        }

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
    def _dynamodb(self) -> DynamoDBClient:
        from client_delivery.access.aws import dynamodb_client

        return dynamodb_client()

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
    def pickup(self) -> Pickup:
        """The client's pick-up."""
        from client_delivery.pickup.pickup import Pickup

        return Pickup(self.config, self.source_s3)

    @cached_property
    def disposal(self) -> Disposal:
        """What becomes of files that are dealt with (R5.8)."""
        from client_delivery.pickup.disposal import Disposal

        return Disposal(self.config, self.pickup, lambda: self.source_access)

    def open_destination(self) -> Destination:
        """The client's destination, to be entered. Raises :class:`DestinationUnavailable`."""
        return destination_of(self.config, self.settings, self.source_access, self.secret_of)

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

    def others_under_way(self, entries: Iterable[Entry]) -> list[RunRef]:
        """The other runs that own some of these entries and that are not over, says Airflow (R4.1).

        ``max_active_runs`` alone does not prevent them: a renamed configuration has another DAG, and the command line
        can start a run beside another.
        """
        owners = {entry.owned_by for entry in entries if not entry.owned_by.is_same_run(self.owner)}
        return sorted((ref for ref in owners if self.state_of(ref) in _UNDER_WAY), key=str)

    def to_wind_up(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those that this run may conclude: its own, and what runs that are over have left (R4.2)."""
        known = list(entries)
        others = self.others_under_way(known)
        return [entry for entry in known if not any(entry.owned_by.is_same_run(other) for other in others)]

    def failed(self, entry: Entry) -> bool:
        """Whether the file makes the run red (R8.3).

        One that was replaced before it was read does not, where the next run sends the new object without being asked.
        """
        goes_by_itself = entry.replaced and not self.config.trigger_on_done_file
        return entry.status is Status.FAIL and entry.dismissed is None and not goes_by_itself

    @property
    def asked(self) -> str:
        """What the trigger form asked for beyond the configuration, in words (R9.1)."""
        return asked(self.params, self.config)

    def look(self) -> Findings:
        """Is there anything to do? Asks S3 for nothing but the done file and the listing, and changes nothing."""
        return look(
            self.pickup,
            self.ledger,
            self.options,
            needs_done_file=self.needs_done_file,
            recognition=Recognition(self.ledger, self.rules),
        )

    def survey(self, *, needs_done_file: bool | None = None) -> Survey:
        """What is to be done with each file that waits. To be closed."""
        return Survey(
            self.pickup,
            self.ledger,
            self.options,
            needs_done_file=self.needs_done_file if needs_done_file is None else needs_done_file,
            recognition=Recognition(self.ledger, self.rules, self.earlier_ledgers, self.place),
        )

    @property
    def rules(self) -> Rules:
        """What makes two files the same. Under bypass every name is sent, whatever the content (R5.3)."""
        by_name = self.bypass or self.config.dedupe_by == "content_and_name"
        return Rules(by_name=by_name, by_content=self.config.dedupe_by != "etag")

    @property
    def guards(self) -> Guards | None:
        """The configuration's guards, for one look at the pick-up; None if it has none (R5.10)."""
        if self.config.guards is None:
            return None
        from client_delivery.ledger.history import History
        from client_delivery.run.guarding import guards_of

        history = History(self._dynamodb, self.settings.ledger_table)
        return guards_of(self.config, self.config.guards, history, lambda: self.source_s3)

    @property
    def options(self) -> Options:
        """How this run treats what it finds."""
        return Options(
            owner=self.owner,
            rules=self.rules,
            bypass=self.bypass,
            resend_failed=bool(self.params["resend_failed"]),
            file_pattern=self.params["file_pattern"] or None,
            keep=self.disposal.keeps,
            deliverable=partial(is_deliverable, self.config.destination),
            guards=self.guards,
            lets_through=bool(self.params["resend_failed"] and self.note),
        )


def configuration_of(begun: Begun) -> ClientConfig | None:
    """The configuration that a run began with; None if a release came in between that cannot read it."""
    from pydantic import ValidationError

    from client_delivery.config.model import ClientConfig

    try:
        return ClientConfig.model_validate_json(begun.configuration)
    except ValidationError:
        return None


def _configurations() -> Configurations:
    from client_delivery.access.aws import dynamodb_client
    from client_delivery.ledger.configurations import Configurations

    return Configurations(dynamodb_client(), Settings.from_environment().ledger_table)
