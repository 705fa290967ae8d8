"""Under which name a file arrives, by its configuration: the name that it came under, unless something is said."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from client_delivery.config.name_template import SEQUENCES, Facts, fields_of, groups_of, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client_delivery.config.model import ClientConfig


def suffixes(config: ClientConfig) -> str:
    """What stands behind every delivered name, for what is done to the content on its way."""
    return ""


def naming_rule(config: ClientConfig) -> str:
    """A digest of all that names are made by; empty if files keep their names."""
    if config.deliver_as is None and not suffixes(config):
        return ""
    rule = [config.deliver_as, config.name_pattern, suffixes(config)]
    return hashlib.sha256(json.dumps(rule).encode()).hexdigest()[:16]


def sequences_of(config: ClientConfig) -> list[str]:
    """Which of the sequences the template counts by."""
    return [name for name in fields_of(config.deliver_as or "") if name in SEQUENCES]


def delivered_name(
    config: ClientConfig,
    name: str,
    *,
    source_date: datetime,
    date: datetime,
    numbers: Mapping[str, int] | None = None,
) -> str:
    """What the file is called at the destination. Not checked yet: it is as untrusted as ``name``.

    :param date: when the run registers it; with its time zone, as ``source_date``.
    :param numbers: of :func:`sequences_of`.

    Raises :class:`~client_delivery.config.name_template.NameNotMade`.
    """
    if config.deliver_as is None:
        return name + suffixes(config)
    zone = ZoneInfo(config.timezone)
    facts = Facts(
        name=name,
        client=config.client_h_number,
        feed=config.feed or "",
        date=date.astimezone(zone),
        source_date=source_date.astimezone(zone),
        groups=groups_of(config.name_pattern, name) if config.name_pattern else {},
        numbers=numbers or {},
    )
    return render(config.deliver_as, facts) + suffixes(config)


def example(config: ClientConfig, now: datetime | None = None) -> tuple[str, str] | None:
    """A name as the pick-up's patterns expect it, and what it would be at the destination; None if they are the same.

    The groups of ``name_pattern`` are shown by their names: nobody knows what the files are called.
    """
    if not naming_rule(config):
        return None
    at = (now or datetime.now(UTC)).astimezone(ZoneInfo(config.timezone))
    pattern = config.pickup.include[0]
    name = pattern.replace("*", "example").replace("?", "x") if "[" not in pattern else "example.csv"
    if name == "example":
        name = "example.csv"
    if config.deliver_as is None:
        return name, name + suffixes(config)
    groups = {group: f"<{group}>" for group in config.name_groups}
    facts = Facts(name, config.client_h_number, at, at, config.feed or "", groups, dict.fromkeys(SEQUENCES, 1))
    return name, render(config.deliver_as, facts) + suffixes(config)
