"""A file as it is to arrive, compressed or encrypted, in a place of ours: what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prepared object, and what it was made of."""

    bucket: str
    key: str
    etag: str
    """Without the quotation marks."""
    size: int
    """Bytes to deliver."""
    source_size: int
    """Bytes of the file in the pick-up."""
    source_checksum: str
    """``crc32c:<base64>`` of the file in the pick-up, of the bytes that were read."""
    source_crc64nvme: str
    """CRC64NVME of the same, base64: by it the ledger recognises the content (R3.6)."""
    made_by: str
    """A digest of the source and of all that was done to it: what was prepared otherwise is not delivered."""

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def resumed(cls, state: Mapping[str, Any] | None) -> Self | None:
        """The inverse of :meth:`state`; None for what is not one, or is of another release."""
        try:
            return cls(**state) if state else None
        except TypeError:
            return None
