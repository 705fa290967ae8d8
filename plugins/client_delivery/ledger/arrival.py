"""The name under which a file arrives: fixed when it is registered, and kept from then on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from client_delivery.ledger.entry import Status

if TYPE_CHECKING:
    from client_delivery.ledger.entry import Entry
    from client_delivery.ledger.file import PickupFile


@dataclass(frozen=True, slots=True)
class ArrivalName:
    """What a file is called at the destination."""

    delivered: str | None = None
    """None: as in the pick-up."""
    rule: str = ""
    """The rule that made it, as :func:`client_delivery.config.delivered.naming_rule` says."""
    suffixes: str = ""
    """The suffixes at its end, for what is done to the content on its way."""

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """The name that the entry has."""
        return cls(entry.delivered_name, entry.named_by, entry.suffixes)


OWN_NAME = ArrivalName()


def kept_name(before: Entry | None, file: PickupFile, rule: str) -> ArrivalName | None:
    """The name that a file has already; None if this rule must make one.

    A file that was begun or delivered keeps its name, whatever the configuration says now. A failed one keeps it too,
    unless it was renamed in the pick-up since, or people have changed the rule: then they want another name. The same
    content, if it is dropped again and sent under bypass, is another delivery.
    """
    if before is not None:
        if before.status is Status.PROCESSING:
            return ArrivalName.of(before)
        if before.status is Status.SUCCESS:
            same = before.source == file or before.wanted is not None
        else:
            same = not before.guarded and before.file_name == file.name and before.named_by == rule
        if same:
            return ArrivalName.of(before)
    return None if rule else OWN_NAME
