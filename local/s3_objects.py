"""What the fast S3 of this machine knows: objects, uploads, and one random block that most bytes are."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from awscrt import checksums

from local.http_stand_in import Network, StandInHandler, StandInServer

BLOCK = 64 * 1024 * 1024


@dataclass
class Object:
    """An object's facts; its bytes are the block's, or gone."""

    size: int
    etag: str
    crc32c: int
    about: dict[str, str] = field(default_factory=dict)
    """Headers about its encryption and its lock."""
    kept: tuple[tuple[Path, int], ...] = ()
    """The files with its bytes, in their order, and how many are in each; none if they are the block's, or gone."""


@dataclass
class Upload:
    """A multipart upload."""

    bucket: str
    key: str
    about: dict[str, str] = field(default_factory=dict)
    parts: dict[int, Object] = field(default_factory=dict)


class S3Server(StandInServer):
    """The server and what it knows."""

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[StandInHandler],
        network: Network,
        tls: str | None,
        copy_rate: int,
        keep: Path | None = None,
    ) -> None:
        super().__init__(address, handler, network, tls)
        self.keep = keep
        self.copy_rate = copy_rate
        self.objects: dict[tuple[str, str], Object] = {}
        self.written: dict[str, dict[str, Any]] = {}
        self.uploads: dict[str, Upload] = {}
        self.locks: dict[str, int] = {}
        self.sent = 0
        self.block = os.urandom(BLOCK)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the server
        self._file.write(self.block)
        self._file.flush()
        self.block_file = self._file.fileno()
        self._block_crc = checksums.crc32c(self.block)

    def crc32c(self, start: int, end: int) -> int:
        """Of so many bytes of the repeated block."""
        value = 0
        while start < end:
            offset = start % BLOCK
            size = min(BLOCK - offset, end - start)
            crc = self._block_crc if size == BLOCK else checksums.crc32c(memoryview(self.block)[offset : offset + size])
            value = checksums.combine_crc32c(value, crc, size)
            start += size
        return value


def as_base64(crc32c: int) -> str:
    """A checksum as S3 writes it."""
    return base64.b64encode(crc32c.to_bytes(4, "big")).decode()
