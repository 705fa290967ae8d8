"""How long an SFTP server may take for what is done at once: patience that grows with the size (R6.6)."""

from __future__ import annotations

_FIRST = 300.0
"""Seconds: virus scanners, and people who approve."""
_PER_BYTE = 60.0 / 1024**3
"""S3-backed servers copy for a rename, at some 15 s for each GiB; four times that."""


def patience(size: int) -> float:
    """Seconds that closing, syncing or renaming a file of ``size`` bytes may take while the server's host lives."""
    return _FIRST + size * _PER_BYTE
