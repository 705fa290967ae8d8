"""Checksums: computed as the bytes go by, and put together from those of parts (R6.4).

CRC32C is what every destination is compared by. S3 keeps a checksum of its own over most objects, by default
CRC64NVME; where there is one, the same is computed of the bytes that were read, and must be equal. CRC64NVME is always
computed, at 0.02 CPU seconds a GiB: by it the ledger recognises the content when it comes again (R3.6).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from awscrt import checksums

from client_delivery.transfer.contract import IntegrityError


class Algorithm(NamedTuple):
    """A checksum whose parts can be put together."""

    update: Callable[[bytes | memoryview, int], int]
    """The checksum of the bytes after those with the given one."""
    combine: Callable[[int, int, int], int]
    """The checksum of two pieces from theirs, and the second one's size."""
    width: int
    """Bytes."""


CRC32C = "crc32c"
CRC64NVME = "crc64nvme"
_ALGORITHMS: Mapping[str, Algorithm] = {
    CRC32C: Algorithm(checksums.crc32c, checksums.combine_crc32c, 4),
    CRC64NVME: Algorithm(checksums.crc64nvme, checksums.combine_crc64nvme, 8),
    "crc32": Algorithm(checksums.crc32, checksums.combine_crc32, 4),
}


@dataclass(frozen=True, slots=True)
class OwnChecksum:
    """A checksum that S3 has of its own over a whole object."""

    algorithm: str
    value: str
    """Base64."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> OwnChecksum | None:
        """What a response's headers tell; None if there is none over the whole object that is computed here."""
        if headers.get("x-amz-checksum-type", "FULL_OBJECT") != "FULL_OBJECT":
            return None  # of a multipart upload's parts, whose bounds nobody tells
        for algorithm in _ALGORITHMS:
            value = headers.get(f"x-amz-checksum-{algorithm}")
            if value and "-" not in value:
                return cls(algorithm, value)
        return None


def sha256_of(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 that S3 has of a whole object, base64. That of a multipart upload is one of its parts' only (Amazon
    S3 user guide, *Checking object integrity*: SHA-256 is a composite checksum there)."""
    value = headers.get("x-amz-checksum-sha256")
    whole = headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"
    return value if value and whole and "-" not in value else None


class Digest:
    """The checksums and the number of the bytes that went by.

    :param own: the algorithm of the checksum that S3 has of its own over the object.
    """

    def __init__(self, own: str = CRC32C) -> None:
        self.own = own
        self.size = 0
        self.values = dict.fromkeys((CRC32C, own, CRC64NVME), 0)

    def update(self, piece: bytes | memoryview) -> None:
        """Count the next bytes."""
        for name, value in self.values.items():
            self.values[name] = _ALGORITHMS[name].update(piece, value)
        self.size += len(piece)

    def append(self, values: Mapping[str, int], size: int) -> None:
        """Count ``size`` more bytes, of which only the checksums are known.

        What an older release's checkpoint does not know, the whole does not know either.
        """
        known = {name: value for name, value in self.values.items() if name in values}
        self.values = {name: _ALGORITHMS[name].combine(value, values[name], size) for name, value in known.items()}
        self.size += size

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"size": self.size, "values": dict(self.values), "own": self.own}

    @classmethod
    def resumed(cls, state: Mapping[str, Any]) -> Digest:
        """The inverse of :meth:`state`."""
        digest = cls()
        digest.size = int(state["size"])
        digest.values = {name: int(value) for name, value in state["values"].items()}
        # An older release computed S3's own checksum beside CRC32C and no other, and did not say which it was.
        digest.own = state.get("own") or next((name for name in digest.values if name != CRC32C), CRC32C)
        return digest

    @property
    def crc32c(self) -> str:
        """As Google and AWS write it."""
        return encode(self.values[CRC32C])

    @property
    def crc64nvme(self) -> str | None:
        """As AWS writes it; None after a resume from an older release's checkpoint."""
        value = self.values.get(CRC64NVME)
        return None if value is None else encode(value, _ALGORITHMS[CRC64NVME].width)

    @property
    def own_value(self) -> str:
        """The checksum by S3's own algorithm."""
        return encode(self.values[self.own], _ALGORITHMS[self.own].width)


def encode(value: int, width: int = 4) -> str:
    """A checksum as Google and AWS write it: base64 of the big-endian value."""
    return base64.b64encode(value.to_bytes(width, "big")).decode()


def decode(text: str) -> int:
    """The inverse of :func:`encode`."""
    return int.from_bytes(base64.b64decode(text), "big")


def require_equal(what: str, found: str | None, expected: str) -> None:
    """Raises :class:`IntegrityError` if a stored CRC32C is not that of the bytes that were read."""
    if found != expected:
        raise IntegrityError(
            f"{what} has the checksum crc32c:{found}, but the bytes read from S3 have crc32c:{expected}. The file "
            "does not count as delivered and will be retried."
        )
