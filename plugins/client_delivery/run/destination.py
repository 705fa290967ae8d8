"""A run's destination, opened with the credential that a worker (by Airflow) or a container (without it) finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from client_delivery.config.delivered import digests_of
from client_delivery.transfer.contract import DestinationUnavailable
from client_delivery.transfer.delivering.destinations import open_destination, open_listing
from client_delivery.transfer.listing import Limit

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig
    from client_delivery.runtime.settings import Settings
    from client_delivery.transfer.contract import Destination
    from client_delivery.transfer.listing import Listing
    from client_delivery.transfer.s3_wire.access import S3Access
    from client_delivery.transfer.secret import Secret


def destination_of(
    config: ClientConfig,
    settings: Settings,
    source: S3Access,
    secret_of: Callable[[str], Secret],
    *,
    copies: bool = True,
) -> Destination:
    """The destination, to be entered.

    :param source: an identity that may read the pick-up.
    :param copies: whether S3 may be asked to copy by itself; only for files that are in S3.
    :param secret_of: finds the credential of a connection id.

    Raises :class:`~client_delivery.transfer.contract.DestinationUnavailable`.
    """
    destination = config.destination
    treated = config.treated and copies  # companions are not treated
    pickup = source
    if treated:
        # The prepared file is read with our own identity.
        from client_delivery.access.aws import s3_access

        source = s3_access()
    secret, destination_s3 = _identity(config, secret_of)
    opened = open_destination(
        destination,
        secret=secret,
        source_s3=source,
        destination_s3=destination_s3,
        gcs_endpoint=settings.gcs_endpoint,
        copies=copies,
    )
    wanted = digests_of(config)
    if wanted and copies:
        from client_delivery.transfer.delivering.digests import Digesting

        opened = Digesting(opened, source, wanted)
    return _treated(config, settings, opened, pickup=pickup, area=source, secret_of=secret_of) if treated else opened


def listing_of(
    config: ClientConfig, place: str | None, settings: Settings, secret_of: Callable[[str], Secret], *, seconds: float
) -> Listing:
    """The destination, for a search of at most so many seconds; to be entered.

    Raises :class:`~client_delivery.transfer.contract.DestinationUnavailable`.
    """
    secret, destination_s3 = _identity(config, secret_of)
    return open_listing(
        config.destination,
        place=place,
        secret=secret,
        destination_s3=destination_s3,
        gcs_endpoint=settings.gcs_endpoint,
        limit=Limit(seconds),
    )


def _identity(config: ClientConfig, secret_of: Callable[[str], Secret]) -> tuple[Secret | None, S3Access | None]:
    """Our identity at the destination: a credential, or in S3 a role."""
    destination = config.destination
    if destination.type == "s3":
        from client_delivery.access.aws import identity_for, s3_access

        return None, s3_access(**identity_for(destination))
    return secret_of(destination.connection_id), None


def _treated(
    config: ClientConfig,
    settings: Settings,
    inner: Destination,
    *,
    pickup: S3Access,
    area: S3Access,
    secret_of: Callable[[str], Secret],
) -> Destination:
    """The destination, with the treatment of each file before."""
    from client_delivery.transfer.treatment.area import PreparedArea
    from client_delivery.transfer.treatment.destination import TreatedDestination, Treatment
    from client_delivery.transfer.treatment.encryption import open_encryption

    if not settings.prepared_location:
        raise DestinationUnavailable(
            "This client's files are compressed or encrypted, but this environment has no prepared area for that. "
            "Have the setting prepared_location configured (docs/operators/settings.md), then clear the run."
        )

    def treat() -> Treatment:
        section, encryption = config.encrypt, None
        if section is not None:
            secret = secret_of(section.sign_with) if section.sign_with else None
            encryption = open_encryption(section, secret)
        keep_metadata = config.destination.type != "sftp" and config.destination.keep_metadata
        return Treatment(config.compress, encryption, config.suffixes, keep_metadata)

    return TreatedDestination(inner, treat, PreparedArea(settings.prepared_location, area), pickup)
