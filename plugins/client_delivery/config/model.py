"""The configuration of one client's delivery (R2): every field, its meaning, and what is accepted.

The JSON Schema, the reference for DEXTR, the template for a new client and the error messages are all made from this.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from client_delivery.calendar.business_days import EVERY_WEEKDAY, BusinessDays
from client_delivery.calendar.expectation import Expectation
from client_delivery.calendar.window import Window
from client_delivery.config.acknowledgement import Acknowledgement
from client_delivery.config.after_delivery import AfterDelivery, Archive
from client_delivery.config.companions import Algorithm, CompletionFile
from client_delivery.config.contacts import MAX_CONTACTS, EmailAddress, refuse_repeated
from client_delivery.config.destinations import (
    DestinationSection,
    GcsSection,
    S3Section,
    Section,
    SftpSection,
)
from client_delivery.config.expected_files import ExpectedField
from client_delivery.config.guards import GuardsSection
from client_delivery.config.holidays import HolidaysField
from client_delivery.config.name_template import NamePattern, NameTemplate
from client_delivery.config.names import ConfigName, Feed, HNumber
from client_delivery.config.notify import MOST_RULES, NotifyRule, refuse_twin_rules
from client_delivery.config.pickup import PickupSection
from client_delivery.config.schedule import DEFAULT_SCHEDULE, CronSchedule, spread_by
from client_delivery.config.sending_window import WindowField
from client_delivery.config.sizes import ByteSize
from client_delivery.config.timezones import TimeZone
from client_delivery.config.together import (
    refuse_acknowledgement_alone,
    refuse_archive_in_pickup,
    refuse_arrival_alone,
    refuse_completion_without_feed,
    refuse_empty_fields,
    refuse_guards_alone,
    refuse_loop,
    refuse_what_cannot_come,
)
from client_delivery.config.treatment import SUFFIXES, Compression, EncryptSection

__all__ = ["ClientConfig", "DestinationSection", "GcsSection", "S3Section", "SftpSection"]


class ClientConfig(Section, title="Client configuration"):
    """One client's delivery: one file, one configuration, one DAG."""

    name: ConfigName = Field(
        title="Configuration name",
        description="The name of this file without `.yaml`; also the name of the DAG.",
        examples=["acme"],
    )
    client_h_number: HNumber = Field(
        title="Client H number", description="The client's number: 'H' and 4 to 9 digits.", examples=["H1234"]
    )
    feed: Feed | None = Field(
        default=None,
        title="Feed",
        description="Distinguishes this configuration from others of the same client; only for clients with"
        " several. You may add or change it: the ledger remembers what was sent from this pick-up before.",
        examples=["eligibility"],
    )
    contacts: Annotated[tuple[EmailAddress, ...], Field(strict=False)] = Field(
        min_length=1,
        max_length=MAX_CONTACTS,
        title="Contacts",
        description="The e-mail addresses that receive the notifications.",
        examples=[["jane.doe@example.com", "data-team@example.org"]],
    )
    send_notifications: bool = Field(
        title="Send notifications",
        description="Whether the contacts receive an e-mail when a delivery starts and another when it has finished.",
        examples=[True],
    )
    pickup: PickupSection = Field(title="Pick-up", description="Where the files wait.")
    destination: DestinationSection = Field(title="Destination", description="Where the files go.")
    bypass_file_checks: bool = Field(
        title="Bypass file checks",
        description="`true`: a file is sent even if the same content was sent before. `false`: such a file is deleted"
        " from the pick-up instead.",
        examples=[False],
    )
    trigger_on_done_file: bool = Field(
        title="Trigger on done file",
        description="`true`: nothing is sent before `<client H number>.done` is in the pick-up. `false`: files are sent"
        " as they arrive.",
        examples=[False],
    )
    schedule: CronSchedule | None = Field(
        default=DEFAULT_SCHEDULE,
        title="Schedule",
        description="When to look for files, as a cron expression in the client's time zone; `null` for runs by hand "
        "only. `H` as the minute, or `H/15`, is a minute derived from the configuration's name, so that "
        "clients are not all due at once; `make check-config` shows it. A new client first runs at its next "
        "scheduled time.",
        examples=["0 6 * * 1-5"],
    )
    trigger: Literal["schedule", "on_arrival"] = Field(
        default="schedule",
        title="What starts a run",
        description="`on_arrival`: a run also starts within a minute of the arrival of a new file, or of the done file "
        "for a client that has one. `schedule` remains as a safety net, and may then be sparse, such as `H * "
        "* * *`: scheduled runs do the work that no arrival starts, such as cleaning up, sending reminders, "
        "and resuming what an earlier run left. Windows and guards apply as usual, and files that were sent "
        "before, are under way or are held start no run.",
        examples=["on_arrival"],
    )
    paused: bool = Field(
        default=False,
        title="Paused",
        description="`true` stops the delivery without removing the configuration. A run under way finishes first; the "
        "switch in the Airflow UI would freeze it.",
        examples=[True],
    )
    dedupe_by: Literal["content", "content_and_name", "etag"] = Field(
        default="content",
        title="What makes a file the same",
        description="`content`: a file counts as already sent if its content was sent before, no matter what it is "
        "called, who uploads it again, and how the bucket is encrypted. `content_and_name`: only if it was "
        "sent under the same name. `etag`: only if S3 gives it the same ETag; another upload of it may then "
        "be sent again. You may change this at any time; no file is sent again because of it.",
        examples=["content_and_name"],
    )
    after_delivery: AfterDelivery = Field(
        default="next_run",
        title="After delivery",
        description="What happens to a file in the pick-up once its delivery is verified. `next_run`: the next run "
        "that looks at the pick-up deletes it. `delete`: it is deleted at once. `keep`: it stays, and "
        "only the ledger prevents a second sending. `archive: <prefix>`: it is copied below that prefix "
        "of the same bucket, with the time of the delivery in its path, and then deleted.",
        examples=["delete", {"archive": "acme-sent/"}],
    )
    formerly: Annotated[tuple[HNumber, ...], Field(strict=False)] = Field(
        default=(),
        max_length=10,
        title="Former H numbers",
        description="H numbers that this client had before. Files that were sent under an old number are then not "
        "sent again under the new one. Without this, changing `client_h_number` stops the delivery, "
        "because the pick-up still belongs to the old number.",
        examples=[["H1234"]],
    )
    offload_threshold: ByteSize | None = Field(
        default=None,
        title="Offload threshold",
        description="Files of at least this size are each sent by a separate container instead of an Airflow worker. "
        "Write a number of bytes, or a number with a unit. Defaults to the environment's setting.",
        examples=["10 GiB"],
    )
    expected_every_days: int | None = Field(
        default=None,
        ge=1,
        le=400,
        strict=True,
        title="Files expected at least every … days",
        description="Raises an alarm when no file was delivered for more than this many days. Without it, no alarm "
        "reports a client that sends nothing. The count starts with the first delivery after this is set.",
        examples=[35],
    )

    timezone: TimeZone = Field(
        default="UTC",
        title="Time zone",
        description=(
            "The client's time zone: `schedule`, `window` and `expected` use it, daylight saving time included."
        ),
        examples=["America/Chicago"],
    )
    holidays: HolidaysField | None = Field(
        default=None,
        title="Holidays",
        description="Days on which the client does not work, besides weekends: the public holidays of a country or "
        "region (`US`, `US-TX`), additional dates, or both (`calendar`, `dates`). `window` stays closed on "
        "them, and they are not business days.",
        examples=[{"calendar": "US", "dates": ["2026-12-24"]}],
    )
    window: WindowField | None = Field(
        default=None,
        title="Window",
        description="The hours in which sending may begin, in the client's time zone. Files that arrive outside them "
        "wait; a transfer that has begun continues. `days` accepts mon-fri, mon,wed,fri, or business days.",
        examples=[{"from": "06:00", "to": "22:00", "days": "mon-fri"}],
    )
    expected: ExpectedField = Field(
        default=(),
        title="Expected files",
        description="Which files come by when: `files` is a pattern for their names below the prefix, `at_least` how "
        "many (1), `by` when: `daily, 08:00`, `business days, 08:00`, `weekly, monday, 18:00`, `monthly, "
        "business day 5, 18:00`, `monthly, last day, 18:00`, or a cron expression; with `every: month`, `by` "
        "needs only `business day 5, 18:00`. The contacts are told when a time passes without the files, once "
        "a day after that, and when the files have come. Counting starts with the first run after a line is "
        "written.",
        examples=[[{"files": "elig_*.csv", "by": "monthly, business day 5, 18:00"}]],
    )

    guards: GuardsSection | None = Field(
        default=None,
        title="Guards",
        description="The conditions that a file must meet to be sent. A file that does not meet them is held, with the "
        "reason, until a person lets it through. Without this section, every file is sent.",
        examples=[{"not_empty": True}],
    )
    name_pattern: NamePattern | None = Field(
        default=None,
        title="Name pattern",
        description="A regular expression for the whole name of each file, without its folders; its named groups,"
        " `(?P<kind>[a-z]+)`, are fields of `deliver_as`. A file with another name is held.",
        examples=[r"(?P<kind>[a-z]+)_(?P<month>[0-9]{6})\.csv"],
    )
    deliver_as: NameTemplate | None = Field(
        default=None,
        title="Delivered name",
        description="What files are called at the destination. Fields in braces are filled in: `client`, `feed`,"
        " `path`, `folder`, `name`, `stem`, `ext`, `date`, `source_date`, `sequence`, `daily_sequence`, `done_file`,"
        " and the groups of `name_pattern`; see [names](names.md). A file keeps the name that it got, however often it"
        " is sent; two files that would get one name are held. Without it, files keep their own names.",
        examples=["{client}_{stem}_{date:%Y%m%d}_{sequence:03}{ext}"],
    )

    completion_file: CompletionFile | None = Field(
        default=None,
        title="Completion file",
        description="A file that arrives after all files of a set have arrived, never before. A set is all files that "
        "one run registers; with `trigger_on_done_file`, the files that the done file announces. If a file of "
        "the set fails or is held, the completion file is not sent until that file has arrived too.",
        examples=[{"name": "{client}_{date:%Y%m%d}.complete", "content": "json"}],
    )
    sidecar: Algorithm | None = Field(
        default=None,
        title="Checksum files",
        description="Delivers a checksum file after each file: its name is the file's with `.sha256` or `.md5` added, "
        "and it holds the checksum as `sha256sum` writes it. Each file is read one more time, while it is "
        "sent.",
        examples=["sha256"],
    )
    order: Literal["name", "age", "size"] | None = Field(
        default=None,
        title="Order",
        description="The order in which the files of a run are sent, one after the other: by their names in the "
        "pick-up, the oldest first, or the smallest first. A file that fails does not stop the files after "
        "it. Without this field, many files are sent at the same time.",
        examples=["age"],
    )
    notify: Annotated[tuple[NotifyRule, ...], Field(strict=False)] = Field(
        default=(),
        max_length=MOST_RULES,
        title="Notification rules",
        description="Rules for messages in addition to those to the contacts: `on` says when, `to` or `via` says to "
        "whom. See [Notifications](notifications.md). `contacts` and `send_notifications` are not affected.",
        examples=[[{"to": ["data-team@example.org"], "on": ["failed", "late"]}]],
    )

    compress: Compression | None = Field(
        default=None,
        title="Compression",
        description="Compresses each file on its way: `gzip` (`.gz`), `zip` (`.zip`, with the one file in it) or `zstd`"
        " (`.zst`). The suffix is put after the file's name; see [encrypting and compressing](treatment.md).",
        examples=["gzip"],
    )
    encrypt: EncryptSection | None = Field(
        default=None,
        title="Encryption",
        description="Encrypts each file on its way, after the compression, as an OpenPGP message (PGP, GPG), and signs"
        " it if a key is named. See [encrypting and compressing](treatment.md).",
        examples=[{"recipients": ["keys/acme.asc"], "sign_with": "our_pgp_key"}],
    )

    acknowledgement: Acknowledgement | None = Field(
        default=None,
        title="Acknowledgement",
        description="The file that the recipient puts back for each file that has arrived. Runs look for it, and the "
        "ledger records when it came. If it does not come in time, that is reported once, like late files. "
        "Runs do not read, remove or rename it. See [acknowledgements](names.md#acknowledgements).",
        examples=[{"pattern": "acks/{delivered}.ok", "within": "24 h"}],
    )

    _deliver_as_fits = field_validator("deliver_as")(refuse_empty_fields)
    _acknowledgement_fits = field_validator("acknowledgement")(refuse_acknowledgement_alone)
    _expected_fits = field_validator("expected")(refuse_what_cannot_come)
    _trigger_fits = field_validator("trigger")(refuse_arrival_alone)
    _completion_file_fits = field_validator("completion_file")(refuse_completion_without_feed)
    _guards_fits = field_validator("guards")(refuse_guards_alone)
    _contacts_fits = field_validator("contacts")(refuse_repeated)
    _destination_fits = field_validator("destination")(refuse_loop)
    _after_delivery_fits = field_validator("after_delivery")(refuse_archive_in_pickup)
    _twin_rules = field_validator("notify")(refuse_twin_rules)

    @property
    def treated(self) -> bool:
        """Whether anything is done to the content of this client's files on their way (R6.13)."""
        return self.compress is not None or self.encrypt is not None

    @property
    def suffixes(self) -> str:
        """What is added to every delivered name for what is done to the content: ``.gz.pgp``; empty for nothing."""
        compressed = SUFFIXES[self.compress] if self.compress else ""
        return compressed + (self.encrypt.suffix if self.encrypt else "")

    @property
    def archive_prefix(self) -> str | None:
        """Where in the pick-up's bucket delivered files are kept; None if they are not archived (R5.8)."""
        return self.after_delivery.archive if isinstance(self.after_delivery, Archive) else None

    @property
    def name_groups(self) -> tuple[str, ...]:
        """The named groups of ``name_pattern``."""
        return tuple(re.compile(self.name_pattern).groupindex) if self.name_pattern else ()

    @property
    def business_days(self) -> BusinessDays:
        """The days on which the client works."""
        return EVERY_WEEKDAY if self.holidays is None else self.holidays.days

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What is expected, by the client's clock and calendar."""
        return tuple(one.expectation(self.timezone, self.business_days) for one in self.expected)

    @property
    def sending_window(self) -> Window | None:
        """When sending may begin; None: at any time."""
        return None if self.window is None else self.window.window(self.timezone, self.business_days)

    @property
    def cron(self) -> str | None:
        """The schedule as a plain cron expression, in the client's time zone; None for runs by hand only."""
        return spread_by(self.schedule, self.name) if self.schedule else None

    @property
    def watched(self) -> bool:
        """Whether the pick-up is watched between runs, so that an arrival starts one."""
        return self.trigger == "on_arrival" and self.schedule is not None and not self.paused

    @property
    def delivery_key(self) -> str:
        """The ledger's partition key: ``H1234``, or ``H1234#feed`` (R2.7)."""
        return f"{self.client_h_number}#{self.feed}" if self.feed else self.client_h_number

    @property
    def done_file_key(self) -> str:
        """The key of the done file in the pick-up's bucket (R4.3)."""
        return f"{self.pickup.prefix}{self.client_h_number}.done"
