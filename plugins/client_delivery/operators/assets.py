"""A client's pick-up, deliveries and destination as Airflow's assets, by which other DAGs go on with files."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import Asset, AssetWatcher

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig


_LONGEST = 1500
"""Characters of an asset's URI (``_validate_identifier`` in airflow/sdk/definitions/asset of 3.2.1)."""


def pickup_assets(config: ClientConfig) -> list[Asset]:
    """Where the files wait. Its name is its URI, as for anybody else who writes there."""
    return _place(f"s3://{config.pickup.bucket}/{config.pickup.prefix}")


def destination_assets(config: ClientConfig) -> list[Asset]:
    """Where the files go, likewise: several configurations may deliver to one place."""
    return _place(config.destination.uri)


def delivered_asset(name: str) -> Asset:
    """A configuration's deliveries: ``schedule=[Asset("delivered/acme")]``.

    It has no URI of its own. Airflow takes two assets of one name and different URIs, or the other way round, for a
    conflict, and one of them is inactive (``_activate_referenced_assets`` of the scheduler, 3.2.1): other DAGs would
    have to know the destination to name it, and two configurations could not share one.
    """
    return Asset(name=f"delivered/{name}")


def arrival_asset(config: ClientConfig) -> Asset:
    """What comes into a pick-up that is watched: its DAG goes by it, and others may (``Asset("arrived/acme")``).

    It is not the pick-up's own asset: a DAG that reports having written there starts nothing.
    """
    # Imported here: it costs Airflow's side of triggers, which no other DAG needs.
    from client_delivery.operators.triggers.arrival import ArrivalTrigger

    configuration = config.model_dump_json(exclude_defaults=True)
    watcher = AssetWatcher(name="pickup", trigger=ArrivalTrigger(configuration))
    return Asset(name=f"arrived/{config.name}", watchers=[watcher])


def _place(uri: str) -> list[Asset]:
    """None for a place whose URI is too long for Airflow: for that no client may be without its DAG."""
    quoted = quote(uri, safe="/:@~%[]")
    return [Asset(uri=quoted)] if len(quoted) <= _LONGEST else []
