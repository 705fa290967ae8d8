"""Facts from the ledger for building the DAGs: what only the past can tell about YAML files (R2.6, R2.7, R4.7).

All DAGs are built in one process, so this must be quick: if the ledger does not respond within seconds, each file is
judged on its own, as before its first run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from client_delivery.config.names import key_of
from client_delivery.config.neighbours import Claim
from client_delivery.config.schedule import DEFAULT_SCHEDULE
from client_delivery.config.timing import Timing, timing_of
from client_delivery.runtime.events import log_event
from client_delivery.runtime.settings import setting

if TYPE_CHECKING:
    from client_delivery.config.loader import LoadedConfig
    from client_delivery.config.model import ClientConfig
    from client_delivery.ledger.configurations import Begun, Configurations

T = TypeVar("T")


class LedgerView:
    """One look at the ledger, while the DAGs are built. Nothing here raises or waits for long."""

    def __init__(self) -> None:
        self._begun: dict[str, Begun | None] = {}

    def under_way(self) -> list[str]:
        """The names of the configurations whose run has files in hand."""
        found: list[Begun] = self._ask(lambda ledger: ledger.under_way(), [])
        return sorted(begun.name for begun in found)

    def established(self, config: ClientConfig, claim: Claim) -> str | None:
        """When the configuration last began a delivery with its current claims (R2.7); None if it never did."""
        begun = self._last(config.name)
        if begun is None:
            return None
        now = config.model_dump(mode="json", exclude_defaults=True)
        return begun.at if _claimed(claim, begun.fields) == _claimed(claim, now) else None

    def timing(self, loaded: LoadedConfig) -> Timing:
        """When a wrong file is due: as it says itself, or as it was last due, or as by default (R2.6)."""
        timing = loaded.timing
        if timing is None and (begun := self._last(loaded.dag_id)):
            timing = timing_of(begun.fields)
        return timing or Timing(DEFAULT_SCHEDULE)

    def client(self, loaded: LoadedConfig) -> set[str]:
        """The owner of a wrong file, as tags of its DAG: as it says itself, or as it last began (R2.6)."""
        begun = self._last(loaded.dag_id)
        key = loaded.delivery_key or (key_of(begun.fields) if begun else None)
        kind = (begun.fields.get("destination") or {}).get("type") if begun else None
        return {tag for tag in (key, kind) if tag}

    def _last(self, name: str) -> Begun | None:
        if name not in self._begun:
            self._begun[name] = self._ask(lambda ledger: ledger.get(name), None)
        return self._begun[name]

    def _ask(self, question: Callable[[Configurations], T], otherwise: T) -> T:
        if self._configurations is None:
            return otherwise
        try:
            return question(self._configurations)
        except Exception as error:
            # No error here may take every client's DAG down.
            log_event(
                logging.getLogger(__name__), "ledger_not_asked", level=logging.WARNING, error=type(error).__name__
            )
            self.__dict__["_configurations"] = None
            return otherwise

    @cached_property
    def _configurations(self) -> Configurations | None:
        table = setting("ledger_table")
        if not table:
            return None
        from client_delivery.access.aws import dynamodb_client
        from client_delivery.ledger.configurations import Configurations

        try:
            return Configurations(dynamodb_client(patient=False), table)
        except Exception as error:
            log_event(
                logging.getLogger(__name__), "ledger_not_asked", level=logging.WARNING, error=type(error).__name__
            )
            return None


def _claimed(claim: Claim, fields: Mapping[str, Any]) -> Sequence[object]:
    """What a configuration with these fields has for itself."""
    # What the ledger holds may be of any release, and every DAG of the environment is parsed by way of it.
    pickup, destination = (
        section if isinstance(section, dict) else {} for section in map(fields.get, ("pickup", "destination"))
    )
    return {
        Claim.KEY: (fields.get("client_h_number"), fields.get("feed")),
        Claim.PICKUP: (pickup.get("bucket"), pickup.get("prefix")),
        Claim.DESTINATION: (destination.get("type"), destination.get("bucket"), destination.get("prefix")),
        Claim.ARCHIVE: (pickup.get("bucket"), fields.get("after_delivery")),
    }[claim]
