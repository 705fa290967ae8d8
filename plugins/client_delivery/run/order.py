"""What a worker tells a container, and how the container says that it ended (R6.1): what the two have agreed on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pydantic import ValidationError

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.entry import RunRef

ORDER_VARIABLE = "DELIVERY_ORDER"
ORDER_VERSION = 2
"""Grows when a container of the release before would misunderstand an order. While a release is rolled out, workers and
containers are of different ones: what is merely added must be such that an older container may ignore it.

2: runs are named with their DAG, as in the ledger; a container of version 1 finds nothing to do for such a run. Orders
of version 1 have no ``version``.
"""
LEFT_IN_LEDGER = "left_in_ledger"
"""The field of an order that is only where in the ledger the order is."""


class ExitCode(IntEnum):
    """How the container ended. The ledger says more."""

    DELIVERED = 0
    """Everything is delivered, or there was nothing left to do."""
    UNFINISHED = 10
    """A file is left for the next attempt."""
    FAILED = 11
    """A file failed for good."""
    STOPPED = 12
    """Told to stop; the next attempt resumes."""
    MISUSED = 13
    """The order or the settings are unusable."""


@dataclass(frozen=True)
class Order:
    """What the container is to do."""

    config: ClientConfig
    owner: RunRef
    batch: int
    remove_source: bool

    def to_json(self) -> str:
        """For the environment of the container; no credential is in it."""
        fields: dict[str, Any] = {
            "version": ORDER_VERSION,
            "config": self.config.model_dump(mode="json", exclude_defaults=True),
            "run": str(self.owner),
            "batch": self.batch,
            "remove_source": self.remove_source,
        }
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The inverse of :meth:`to_json`, of this release and of those before. Raises ValueError."""
        fields = json.loads(text)
        try:
            if (version := int(fields.get("version", 1))) > ORDER_VERSION:
                raise ValueError(
                    f"the order has version {version}, and this container understands {ORDER_VERSION}: its image is "
                    "older than Airflow's plugins. Deploy the image of the same release"
                )
            config = ClientConfig.model_validate_json(json.dumps(fields["config"]))
            return cls(config, RunRef.parse(fields["run"]), int(fields["batch"]), bool(fields["remove_source"]))
        except (AttributeError, KeyError, TypeError, ValidationError) as error:
            raise ValueError(str(error)) from error


def reference_to(name: str, delivery_key: str) -> str:
    """What ``DELIVERY_ORDER`` holds in the place of an order that was left in the ledger under ``name``."""
    return json.dumps({LEFT_IN_LEDGER: name, "delivery_key": delivery_key}, separators=(",", ":"))
