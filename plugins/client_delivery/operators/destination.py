"""A run's destination, opened with what Airflow knows of its credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from client_delivery.operators.run import Run
    from client_delivery.transfer.contract import Destination


def destination_of(run: Run) -> Destination:
    """The destination, to be entered. Raises :class:`~client_delivery.transfer.contract.DestinationUnavailable`."""
    from client_delivery.operators.connections import resolve
    from client_delivery.transfer.destinations import open_destination

    config = run.config.destination
    secret = None if config.type == "s3" else resolve(config.connection_id)
    if config.type == "s3":
        from client_delivery.runtime.aws import s3_access

        destination_s3 = s3_access(region=config.region, role_arn=config.role_arn, external_id=config.external_id)
    else:
        destination_s3 = None
    return open_destination(
        config,
        secret=secret,
        source_s3=run.source_access,
        destination_s3=destination_s3,
        gcs_endpoint=run.settings.gcs_endpoint,
    )
