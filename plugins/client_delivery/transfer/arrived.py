"""How much of a file the destination has, as a checkpoint says it: for people who watch a long transfer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def arrived(state: Mapping[str, Any] | None) -> int:
    """Bytes that the destination has taken, by what :meth:`~client_delivery.transfer.contract.Journal.checkpoint` kept.

    Of a file that is treated on its way it is what has arrived of the treated one. It knows the states of
    :class:`~client_delivery.transfer.reading.parts.Parts` and of
    :class:`~client_delivery.transfer.sftp.lanes.PartFile`; what says nothing of bytes counts as none, and so does a
    state of another release that cannot be read.
    """
    if state and "prepared" in state:
        state = state.get("engine")
    if not state:
        return 0
    try:
        if "runs" in state:
            return sum(int(digest["size"]) for _, _, digest in state["runs"])
        return sum(int(known[-1]["size"]) for _, _, *known in state.get("lanes", ()))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        return 0


def to_arrive(state: Mapping[str, Any] | None, size: int) -> int:
    """Bytes that are to arrive of a file of that size, as a checkpoint says it: of a treated one, other than in the
    pick-up."""
    prepared = (state or {}).get("prepared")
    return int(prepared.get("size", size)) if isinstance(prepared, dict) else size
