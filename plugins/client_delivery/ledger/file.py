"""The object that an entry of the ledger stands for, and where its bytes are."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from client_delivery.ledger.identity import Fingerprint


@dataclass(frozen=True, slots=True)
class Origin:
    """The place of bytes that no longer wait in the pick-up: its archive, or an earlier version."""

    bucket: str
    key: str
    etag: str
    """Without the quotation marks."""
    version_id: str | None = None
    """The version to read; None for the current one."""


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
    """Known once S3 has been asked about the object, if the bucket has versions."""
    content: Fingerprint = field(default_factory=Fingerprint, compare=False)
    """Known once S3 has been asked about the object."""
    origin: Origin | None = field(default=None, compare=False)
    """Where the bytes are read, if not in the pick-up. Nothing is removed there."""

    @property
    def path(self) -> str:
        """``s3://bucket/key``, the ledger's ``filePath``."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that was dealt with, and where its bytes may be."""

    file: PickupFile
    """As it waited in the pick-up."""
    archived_to: str | None
    """``s3://bucket/key`` of the archive's copy."""
