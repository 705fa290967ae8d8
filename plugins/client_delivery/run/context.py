"""The context of every step of a run: the configuration, the trigger form's parameters, the ledger and the pick-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.entry import Status
from client_delivery.ledger.life import RunRef
from client_delivery.pickup.intake import Options
from client_delivery.pickup.recognition import Recognition, Rules
from client_delivery.pickup.survey import Findings, Survey, look
from client_delivery.run.destination import destination_of
from client_delivery.run.notes import Notes
from client_delivery.runtime.settings import Settings
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.naming import is_nameable

if TYPE_CHECKING:
    from datetime import datetime

    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.configurations import Begun, Configurations
    from client_delivery.ledger.entry import Entry
    from client_delivery.pickup.guards import Guards
    from client_delivery.transfer.contract import Destination
    from client_delivery.transfer.secret import Secret

_UNDER_WAY = ("queued", "running")


def _no_secret(connection_id: str) -> Secret:
    raise DestinationUnavailable(f"The connection {connection_id!r} is not known here.")


@dataclass(frozen=True)
class Run(Notes):
    """One life of one DAG run, as its steps see it."""

    config: ClientConfig
    owner: RunRef
    params: Mapping[str, Any]
    state_of: Callable[[RunRef], str | None] = lambda ref: None
    """Airflow's state of another run; None if there is no such run, or no longer."""
    asked_by: str | None = None
    """The user who triggered the run, as Airflow knows them. Airflow does not tell its tasks who cleared a run."""
    note: str | None = None
    """The run's note, as it was when this task began."""
    secret_of: Callable[[str], Secret] = _no_secret
    """The credential of a connection id."""
    stop_containers: Callable[[str, str], Sequence[str]] = lambda delivery_key, reason: ()
    """Stops the ECS tasks that still run for a delivery key, with a reason; returns their ARNs."""

    @staticmethod
    def begun(owner: RunRef) -> Begun | None:
        """What the latest run of this DAG that had files in hand began with (R4.7)."""
        return _configurations().get(owner.dag_id)

    def begin(self) -> None:
        """The run has files in hand from now on: whatever happens to the YAML file, it ends as it began (R4.7)."""
        configuration = self.config.model_dump_json(exclude_defaults=True)
        self.note_change(lambda: self.begun(self.owner), configuration)
        _configurations().begin(self.owner.dag_id, self.owner, configuration, self.params)

    def end(self) -> None:
        """The run no longer has files in hand."""
        _configurations().end(self.owner.dag_id, self.owner)

    @staticmethod
    def forget(begun: Begun) -> None:
        """That run is over, and another has set its files inactive."""
        _configurations().end(begun.name, begun.life)

    def closed_until(self, moment: datetime) -> datetime | None:
        """When the client's window opens, if sending may not begin at that moment."""
        window = self.config.sending_window
        if window is None or self.params.get("ignore_window") or window.is_open(moment):
            return None
        return window.opens(moment) or moment.replace(year=moment.year + 1)

    def open_destination(self) -> Destination:
        """The client's destination, to be entered. Raises :class:`DestinationUnavailable`."""
        return destination_of(self.config, self.settings, self.source_access, self.secret_of)

    @property
    def offload_threshold(self) -> int | None:
        """From this number of bytes on, a file gets a separate container (R6.1); None if there are no containers."""
        if self.settings.offload is None:
            return None
        return self.config.offload_threshold or self.settings.offload_threshold

    @property
    def bypass(self) -> bool:
        """Whether files that were sent before are sent again."""
        return bool(self.params["bypass_file_checks"])

    @property
    def needs_done_file(self) -> bool:
        """Whether new files wait for a done file (R4.3)."""
        return self.config.trigger_on_done_file and not self.params["ignore_done_file"]

    @property
    def notifies(self) -> bool:
        """Whether the contacts get e-mails (R7.1)."""
        return bool(self.params["send_notifications"])

    @property
    def silenced(self) -> bool:
        """Whether the configuration sends messages, and the trigger form switched them off for this run."""
        return self.config.send_notifications and not self.notifies

    def others_under_way(self, entries: Iterable[Entry]) -> list[RunRef]:
        """The other runs that own some of these entries and that, according to Airflow, are not over (R4.1).

        ``max_active_runs`` alone does not prevent them: a renamed configuration has another DAG, and the command line
        can start a run beside another.
        """
        owners = {entry.owned_by for entry in entries if not entry.owned_by.is_same_run(self.owner)}
        return sorted((ref for ref in owners if self.state_of(ref) in _UNDER_WAY), key=str)

    def to_wind_up(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that this run may conclude: its own, and those that ended runs have left (R4.2)."""
        known = list(entries)
        others = self.others_under_way(known)
        return [entry for entry in known if not any(entry.owned_by.is_same_run(other) for other in others)]

    def failed(self, entry: Entry) -> bool:
        """Whether the file makes the run red (R8.3).

        A file that was replaced before it was read does not, if the next run sends the new object without being asked.
        """
        goes_by_itself = entry.replaced and not self.config.trigger_on_done_file
        return entry.status is Status.FAIL and entry.dismissed is None and not goes_by_itself

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
        """The decision about each file that waits. To be closed."""
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
        from client_delivery.run.guarding import guards_of

        return guards_of(self.config, self.config.guards, self.history, lambda: self.source_s3)

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
            deliverable=partial(is_nameable, self.config),
            guards=self.guards,
            lets_through=bool(self.params["resend_failed"] and self.note),
        )


def _configurations() -> Configurations:
    from client_delivery.access.aws import dynamodb_client
    from client_delivery.ledger.configurations import Configurations

    return Configurations(dynamodb_client(), Settings.from_environment().ledger_table)
