"""The protocol between worker and container (R6.1): the order, and the exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pydantic import ValidationError

from client_delivery.config.model import ClientConfig
from client_delivery.ledger.life import RunRef

ORDER_VARIABLE = "DELIVERY_ORDER"
ORDER_VERSION = 2
"""Increases when a container of the previous release would misunderstand an order. During a rollout, workers and
containers are of different releases: an older container must be able to ignore anything that is merely added.

2: runs are named with their DAG, as in the ledger; a container of version 1 finds nothing to do for such a run. Orders
of version 1 have no ``version``.
"""
LEFT_IN_LEDGER = "left_in_ledger"
"""The field of an order that contains only the order's place in the ledger."""


class ExitCode(IntEnum):
    """How the container ended. The ledger has the details."""

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
    """The container's job."""

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
    """The content of ``DELIVERY_ORDER`` for an order that was left in the ledger under ``name``."""
    return json.dumps({LEFT_IN_LEDGER: name, "delivery_key": delivery_key}, separators=(",", ":"))
