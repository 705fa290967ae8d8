"""The wire format of an upload to S3 whose checksum follows its bytes: ``aws-chunked`` with a trailer.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from client_delivery.transfer.integrity import Digest

CHUNK = 1024 * 1024
"""Bytes in a chunk of a body. The source reads in pieces of the same size, which is what one stream holds at a time."""
TRAILER = "x-amz-checksum-crc32c"


class Pieces(Protocol):
    """Bytes in pieces, and their checksum once they have all gone by.

    The pieces may have any size, but none reaches over a multiple of the body's chunk size.
    """

    @property
    def digest(self) -> Digest:
        """Of all of them, once they have gone by."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes | memoryview]: ...


class TrailedBody:
    """Bytes for S3 with their CRC32C after them (``aws-chunked`` with a trailer): S3 refuses what does not match.

    :param chunk: bytes in a chunk of the body; no piece reaches over a multiple of it.
    """

    def __init__(self, pieces: Pieces, chunk: int = CHUNK) -> None:
        self._pieces = pieces
        self._chunk = chunk
        self.headers = {
            "Content-Encoding": "aws-chunked",
            "X-Amz-Decoded-Content-Length": str(len(pieces)),
            "X-Amz-Trailer": TRAILER,
        }

    def __len__(self) -> int:
        whole, rest = divmod(len(self._pieces), self._chunk)
        framed = whole * (len(_head(self._chunk)) + self._chunk + 2)
        framed += len(_head(rest)) + rest + 2 if rest else 0
        return framed + len(_end("12345678"))

    def __iter__(self) -> Iterator[bytes | memoryview]:
        left, within = len(self._pieces), 0
        for piece in self._pieces:
            if not within:
                within = min(self._chunk, left)
                yield _head(within)
            yield piece
            left -= len(piece)
            within -= len(piece)
            if not within:
                yield b"\r\n"
        yield _end(self._pieces.digest.crc32c)


class Held:
    """A small object's bytes as :class:`Pieces`."""

    def __init__(self, content: bytes, digest: Digest) -> None:
        self._content = memoryview(content)
        self.digest = digest

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[memoryview]:
        for start in range(0, len(self._content), CHUNK):
            yield self._content[start : start + CHUNK]


def _head(size: int) -> bytes:
    return b"%x\r\n" % size


def _end(checksum: str) -> bytes:
    return f"0\r\n{TRAILER}:{checksum}\r\n\r\n".encode()
