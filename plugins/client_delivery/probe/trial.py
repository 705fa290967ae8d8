"""One test of one client's destination, for a person at a laptop or a task on a worker."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from client_delivery.probe.egress import tell_own_address
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.finding import Findings

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig
    from client_delivery.transfer.s3_wire.access import S3Access
    from client_delivery.transfer.secret import Secret

_LISTING_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Found:
    """A credential, and where it was found. Its value is in no message."""

    secret: Secret
    where: str


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a test."""

    configuration: str
    destination: str
    at: datetime
    written: bool
    """Whether the test was asked to write a file."""
    found: Findings

    @property
    def good(self) -> bool:
        """Whether everything that was asked for works, and the test left nothing there."""
        proven = self.found.delivered or not self.written
        return proven and not self.found.fails and not self.found.left

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "configuration": self.configuration,
            "destination": self.destination,
            "at": self.at.isoformat(timespec="seconds"),
            "files_written": self.written,
            "good": self.good,
            **self.found.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much is to be tried."""

    write: bool = True
    """Whether a file is written; without it, the test only connects and logs in."""
    leave: bool = False
    """Whether a file is written although the account may not remove it."""
    name: str = "delivery-test-*.txt"
    """Of the file. A unique text replaces the ``*``, so that the test neither replaces nor removes anybody's file."""
    public_address: bool = True
    """Whether a service on the internet is asked which address of ours it sees."""


def try_destination(
    config: ClientConfig, credential_of: Callable[[str], Found], *, gcs_endpoint: str, wanted: Wanted
) -> Report:
    """Test a destination.

    :param credential_of: finds the credential of a connection id; raises :class:`DestinationUnavailable`.
    """
    findings = Findings()
    name = wanted.name.replace("*", secrets.token_hex(6))
    report = Report(config.name, config.destination.uri, datetime.now(UTC), wanted.write, findings)
    destination = config.destination
    if destination.type == "s3":
        access = _try_s3(config, findings, name, wanted)
        if access is not None:
            _try_looking(config, findings, destination_s3=access)
        return report
    try:
        found = credential_of(destination.connection_id)
    except DestinationUnavailable as error:
        findings.no("Credential", str(error), "Store it, as the message says.", here=True)
        return report
    findings.yes("Connection id", f"{destination.connection_id}: {found.where}, with {found.secret.outline}")
    if wanted.public_address:
        tell_own_address(destination.host if destination.type == "sftp" else gcs_endpoint, findings)
    if destination.type == "sftp":
        from client_delivery.transfer.sftp.probe import SftpProbe

        SftpProbe(destination, found.secret, findings, name=name, leave=wanted.leave).run(write=wanted.write)
        _try_looking(config, findings, secret=found.secret)
        return report
    from client_delivery.transfer.gcs.probe import GcsProbe

    probe = GcsProbe(destination, found.secret, findings, endpoint=gcs_endpoint, name=name, leave=wanted.leave)
    probe.run(write=wanted.write)
    _try_looking(config, findings, secret=found.secret, gcs_endpoint=gcs_endpoint)
    return report


def _try_looking(
    config: ClientConfig,
    findings: Findings,
    *,
    secret: Secret | None = None,
    destination_s3: S3Access | None = None,
    gcs_endpoint: str = "",
) -> None:
    """Whether acknowledgements can be looked for, where the configuration awaits them. Deliveries go without it."""
    section = config.acknowledgement
    if section is None or (findings.fails and not findings.delivered):
        return
    from client_delivery.transfer.delivering.destinations import open_listing
    from client_delivery.transfer.listing import Limit

    with (
        findings.trying("Acknowledgements", "Let us list where you put them, as the message says.", needed=False),
        open_listing(
            config.destination,
            place=section.place,
            secret=secret,
            destination_s3=destination_s3,
            gcs_endpoint=gcs_endpoint,
            limit=Limit(_LISTING_SECONDS),
        ) as listing,
    ):
        for _ in islice(listing.files(section.directory, ""), 1):
            pass
        where = "" if section.place is None else f"{section.place.rstrip('/')}/"
        findings.yes("Acknowledgements", f"{where + section.directory or 'the destination'} can be listed")


def _try_s3(config: ClientConfig, findings: Findings, name: str, wanted: Wanted) -> S3Access | None:
    from client_delivery.access.aws import identity_for, s3_access
    from client_delivery.transfer.s3.probe import S3Probe

    assert config.destination.type == "s3"  # noqa: S101 - for the type checker
    try:
        access = s3_access(**identity_for(config.destination))
    except DestinationUnavailable as error:
        findings.no("Identity", str(error), "Log in to AWS, as the message says.", here=True)
        return None
    S3Probe(config.destination, access, findings, name=name, leave=wanted.leave).run(write=wanted.write)
    return access
