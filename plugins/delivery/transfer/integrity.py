"""CRC32C: computed as the bytes go by, and put together from the checksums of parts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from functools import lru_cache

import google_crc32c

from delivery.transfer.contract import IntegrityError


class Crc32c:
    """The checksum and the size of the bytes that went by."""

    def __init__(self) -> None:
        self.value = 0
        self.size = 0

    def over(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the pieces on, and count them."""
        for piece in pieces:
            self.value = google_crc32c.extend(self.value, piece)
            self.size += len(piece)
            yield piece

    def append(self, value: int, size: int) -> None:
        """Count ``size`` more bytes, of which only the checksum is known."""
        self.value = combine(self.value, value, size)
        self.size += size

    @property
    def base64(self) -> str:
        """As Google and AWS write it: base64 of the big-endian value."""
        return encode(self.value)


def encode(value: int) -> str:
    """A checksum as Google and AWS write it."""
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def decode(text: str) -> int:
    """The inverse of :func:`encode`."""
    return int.from_bytes(base64.b64decode(text), "big")


def require_equal(what: str, found: str | None, expected: str) -> None:
    """Raises :class:`IntegrityError` if a stored checksum is not that of the bytes that were read."""
    if found != expected:
        raise IntegrityError(
            f"{what} has the checksum crc32c:{found}, but what was read from S3 has crc32c:{expected}. "
            "It does not count as delivered; it is tried again."
        )


def combine(first: int, second: int, second_size: int) -> int:
    """The checksum of two pieces put together, from theirs.

    Appending zero bytes to a message is a linear map over the checksum's 32 bits: the first checksum goes through
    the map of ``second_size`` zero bytes, and the second is added.
    """
    return _apply(_zeros(second_size), first) ^ second if second_size else first


@lru_cache(maxsize=64)
def _zeros(count: int) -> tuple[int, ...]:
    """The map of ``count`` zero bytes, by repeated squaring. Parts are of one size, so this is cached."""
    result = tuple(1 << bit for bit in range(32))
    power = tuple(_one_zero_byte(1 << bit) for bit in range(32))
    while count:
        if count & 1:
            result = tuple(_apply(power, row) for row in result)
        power = tuple(_apply(power, row) for row in power)
        count >>= 1
    return result


def _one_zero_byte(crc: int) -> int:
    for _ in range(8):
        crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def _apply(matrix: tuple[int, ...], vector: int) -> int:
    result = 0
    for row in matrix:
        if vector & 1:
            result ^= row
        vector >>= 1
    return result
