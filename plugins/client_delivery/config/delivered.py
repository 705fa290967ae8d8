"""Under which name a file arrives, and what arrives beside it, as its configuration says."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from client_delivery.config.name_template import SEQUENCES, Facts, asks_for_done_file, fields_of, groups_of, render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from client_delivery.config.model import ClientConfig


def naming_rule(config: ClientConfig) -> str:
    """A digest of all that names are made by; empty if files keep their names."""
    rule = [config.deliver_as, config.name_pattern, config.suffixes, config.sidecar]
    if config.deliver_as is None and not any(rule[2:]):
        return ""
    return hashlib.sha256(json.dumps(rule).encode()).hexdigest()[:16]


def sequences_of(config: ClientConfig) -> list[str]:
    """Which of the sequences the template counts by."""
    return [name for name in fields_of(config.deliver_as or "") if name in SEQUENCES]


def names_by_done_file(config: ClientConfig) -> bool:
    """Whether names have what the done file says in them."""
    return asks_for_done_file(config.deliver_as or "", config.name_groups)


def delivered_name(
    config: ClientConfig,
    name: str,
    *,
    source_date: datetime,
    date: datetime,
    numbers: Mapping[str, int] | None = None,
    done_file: str | None = None,
) -> str:
    """What the file is called at the destination. Not checked yet: it is as untrusted as ``name``.

    :param date: when the run registers it; with its time zone, as ``source_date``.
    :param numbers: of :func:`sequences_of`.
    :param done_file: the first line of the done file, where :func:`names_by_done_file`; None if there was none.

    Raises :class:`~client_delivery.config.name_template.NameNotMade`.
    """
    if config.deliver_as is None:
        return name + config.suffixes
    zone = ZoneInfo(config.timezone)
    facts = Facts(
        name=name,
        client=config.client_h_number,
        feed=config.feed or "",
        date=date.astimezone(zone),
        source_date=source_date.astimezone(zone),
        groups=groups_of(config.name_pattern, name) if config.name_pattern else {},
        numbers=numbers or {},
        done_file=done_file,
    )
    return render(config.deliver_as, facts) + config.suffixes


def example(config: ClientConfig, now: datetime | None = None) -> tuple[str, str] | None:
    """A name as the pick-up's patterns expect it, and what it would be at the destination; None if they are the same.

    The groups of ``name_pattern`` are shown by their names: nobody knows what the files are called.
    """
    if config.deliver_as is None and not config.suffixes:
        return None
    at = (now or datetime.now(UTC)).astimezone(ZoneInfo(config.timezone))
    pattern = config.pickup.include[0]
    name = pattern.replace("*", "example").replace("?", "x") if "[" not in pattern else "example.csv"
    if name == "example":
        name = "example.csv"
    if config.deliver_as is None:
        return name, name + config.suffixes
    groups = {group: f"<{group}>" for group in config.name_groups}
    numbers = dict.fromkeys(SEQUENCES, 1)
    facts = Facts(name, config.client_h_number, at, at, config.feed or "", groups, numbers, done_file="<done file>")
    return name, render(config.deliver_as, facts) + config.suffixes


def sidecar_suffix(config: ClientConfig) -> str:
    """What a checksum file adds to the name of its file; empty if there is none."""
    return f".{config.sidecar}" if config.sidecar else ""


def has_companions(config: ClientConfig) -> bool:
    """Whether anything arrives beside the files."""
    return config.sidecar is not None or config.completion_file is not None


def digests_of(config: ClientConfig) -> tuple[str, ...]:
    """The checksums of the delivered bytes that somebody asks for, beside those that every delivery has."""
    manifest = config.completion_file is not None and config.completion_file.content in ("csv", "json")
    wanted = [*([config.sidecar] if config.sidecar else []), *(["sha256"] if manifest else [])]
    return tuple(dict.fromkeys(wanted))


def completion_sequences(config: ClientConfig) -> bool:
    """Whether the completion file's name counts sets."""
    return config.completion_file is not None and any(
        name in SEQUENCES for name in fields_of(config.completion_file.name)
    )


def completion_name(config: ClientConfig, date: datetime, numbers: Mapping[str, int]) -> str | None:
    """What the completion file of a set is called; None if there is none."""
    if config.completion_file is None:
        return None
    at = date.astimezone(ZoneInfo(config.timezone))
    return render(
        config.completion_file.name, Facts("", config.client_h_number, at, at, config.feed or "", {}, numbers)
    )
