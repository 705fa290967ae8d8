"""From a configuration's destination to the part of the engine that serves it (R1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_delivery.transfer.contract import Destination, DestinationUnavailable

if TYPE_CHECKING:
    from client_delivery.config.model import DestinationSection
    from client_delivery.transfer.listing import Limit, Listing
    from client_delivery.transfer.s3_wire.access import S3Access
    from client_delivery.transfer.secret import Secret


def open_destination(
    config: DestinationSection,
    *,
    secret: Secret | None,
    source_s3: S3Access,
    destination_s3: S3Access | None,
    gcs_endpoint: str,
    copies: bool = True,
) -> Destination:
    """The destination, to be entered. ``secret`` is for GCS and SFTP, ``destination_s3`` for S3.

    :param copies: whether S3 may be asked to copy by itself; not what is not in S3.

    Raises :class:`DestinationUnavailable` if the credential is unusable.
    """
    if config.type == "s3":
        from client_delivery.transfer.s3.destination import S3Destination

        if destination_s3 is None:
            raise DestinationUnavailable("An S3 destination needs an S3 identity that may write to it.")
        return S3Destination(config, source_s3, destination_s3, copies=copies)
    if secret is None:
        raise DestinationUnavailable(f"A destination of type {config.type!r} needs a credential.")
    if config.type == "gcs":
        from client_delivery.transfer.gcs.destination import GcsDestination

        return GcsDestination(config, secret, source_s3, gcs_endpoint)
    from client_delivery.transfer.sftp.destination import SftpDestination

    return SftpDestination(config, secret, source_s3)


def open_listing(
    config: DestinationSection,
    *,
    place: str | None,
    secret: Secret | None,
    destination_s3: S3Access | None,
    gcs_endpoint: str,
    limit: Limit,
) -> Listing:
    """The destination that a configuration describes, to be entered.

    :param place: a directory or prefix instead of the destination's own; None for that.

    Raises :class:`DestinationUnavailable` if the credential is unusable.
    """
    if config.type == "s3":
        from client_delivery.transfer.s3.listing import S3Listing

        if destination_s3 is None:
            raise DestinationUnavailable("An S3 destination needs an S3 identity that may list it.")
        return S3Listing(config, destination_s3, _prefix_of(place, config.prefix), limit)
    if secret is None:
        raise DestinationUnavailable(f"A destination of type {config.type!r} needs a credential.")
    if config.type == "gcs":
        from client_delivery.transfer.gcs.listing import GcsListing

        return GcsListing(config, secret, gcs_endpoint, _prefix_of(place, config.prefix), limit)
    from client_delivery.transfer.sftp.listing import SftpListing

    return SftpListing(config, secret, config.directory if place is None else place, limit)


def _prefix_of(place: str | None, own: str) -> str:
    """The prefix in a bucket."""
    return own if place is None else place.rstrip("/") + "/"
