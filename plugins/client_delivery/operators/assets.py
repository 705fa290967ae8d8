"""A client's pick-up and deliveries as Airflow's assets, by which other DAGs go on with delivered files."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig


def pickup_asset(config: ClientConfig) -> Asset:
    """Where the files wait. Its name is its URI, as for anybody else who writes there."""
    return Asset(uri=f"s3://{config.pickup.bucket}/{quote(config.pickup.prefix)}")


def delivered_asset(config: ClientConfig) -> Asset:
    """A client's deliveries, at the destination: one for each configuration."""
    return Asset(name=name_of(config.name), uri=quote(config.destination.uri, safe="/:@~%[]"), group="client-delivery")


def delivered_alias(name: str) -> AssetAlias:
    """What the task has as its outlet: an outlet that is an asset has an event whenever the task succeeds, and this one
    only if files were delivered."""
    return AssetAlias(name_of(name), group="client-delivery")


def name_of(configuration: str) -> str:
    """What other DAGs name: ``schedule=[Asset("delivered/acme")]``."""
    return f"delivered/{configuration}"
