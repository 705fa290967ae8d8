"""A run's destination, opened with what a worker (by Airflow) or a container (without it) knows of its credential."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from client_delivery.config.delivered import digests_of
from client_delivery.transfer.destinations import open_destination

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig
    from client_delivery.runtime.settings import Settings
    from client_delivery.transfer.contract import Destination
    from client_delivery.transfer.s3.access import S3Access
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
    :param copies: whether S3 may be asked to copy by itself; not what is not in S3.
    :param secret_of: finds the credential of a connection id.

    Raises :class:`~client_delivery.transfer.contract.DestinationUnavailable`.
    """
    destination = config.destination
    secret = destination_s3 = None
    if destination.type == "s3":
        from client_delivery.access.aws import identity_for, s3_access

        destination_s3 = s3_access(**identity_for(destination))
    else:
        secret = secret_of(destination.connection_id)
    opened = open_destination(
        destination,
        secret=secret,
        source_s3=source,
        destination_s3=destination_s3,
        gcs_endpoint=settings.gcs_endpoint,
        copies=copies,
    )
    wanted = digests_of(config)
    if not (wanted and copies):
        return opened
    from client_delivery.transfer.digests import Digesting

    return Digesting(opened, source, wanted)
