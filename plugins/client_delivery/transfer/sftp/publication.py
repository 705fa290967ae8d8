"""What is about to get its name, as the checkpoint keeps it: a later attempt goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from client_delivery.transfer.contract import Job, Journal, Receipt
from client_delivery.transfer.reading.source import Source


@dataclass(slots=True)
class Publication:
    """A complete and verified file that is about to get its name."""

    part: str
    """Where it is; the final name itself where it is written directly."""
    etag: str
    """The source's."""
    receipt: Receipt
    """To be handed out when it has its name."""
    aside: str | None = None
    """Where the older file of that name has been moved to."""
    claimed: list[str] = field(default_factory=list)
    """Other names that it may have got, when the response to that was lost as well."""
    refused: bool = False
    """Whether the server is known to have refused the rename: then nothing has appeared."""

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        receipt = self.receipt
        known = [receipt.uri, receipt.size, receipt.checksum, receipt.verified_by]
        optional = {"aside": self.aside, "claimed": self.claimed, "refused": self.refused}
        state = {"part": self.part, "etag": self.etag, "publishing": known}
        return state | {name: value for name, value in optional.items() if value}

    @classmethod
    def resumed(cls, state: Mapping[str, Any], etag: str) -> Publication | None:
        """What an earlier attempt at the same content was about to publish, or published."""
        if state.get("etag") != etag or "publishing" not in state:
            return None
        uri, size, checksum, verified_by = state["publishing"]
        receipt = Receipt(uri, int(size), checksum, verified_by)
        claimed, refused = list(state.get("claimed", ())), bool(state.get("refused"))
        return cls(state["part"], etag, receipt, state.get("aside"), claimed, refused)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt at one file."""

    job: Job
    path: str
    """The final name."""
    source: Source
    journal: Journal
