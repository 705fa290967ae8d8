"""The object that an entry of the ledger stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from client_delivery.ledger.identity import Fingerprint


@dataclass(frozen=True, slots=True)
class PickupFile:
    """One object that waits in the pick-up."""

    name: str
    """The key below the pick-up's prefix."""
    bucket: str
    key: str
    etag: str
    """Without the quotation marks."""
    size: int
    """Bytes."""
    last_modified: datetime
    version_id: str | None = field(default=None, compare=False)
    """Known once S3 has been asked about the object, where the bucket has versions."""
    content: Fingerprint = field(default_factory=Fingerprint, compare=False)
    """Known once S3 has been asked about the object."""

    @property
    def path(self) -> str:
        """``s3://bucket/key``, the ledger's ``filePath``."""
        return f"s3://{self.bucket}/{self.key}"
