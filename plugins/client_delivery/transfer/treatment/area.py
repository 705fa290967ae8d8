"""The prepared area: a place of ours in S3 where files lie as they are to arrive, until they have (R6.6, R6.7).

Each attempt that prepares writes an object of its own, so two attempts never write one. What none of them removed is
removed by the bucket's lifecycle rule after seven days.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from client_delivery.config.destinations import S3Section
from client_delivery.transfer.contract import DestinationUnavailable, SourceObject, TransferError
from client_delivery.transfer.http.pool import Unreachable, error_code
from client_delivery.transfer.integrity import Digest
from client_delivery.transfer.objects.api import Occupied, Stored
from client_delivery.transfer.reading.carried import Carried
from client_delivery.transfer.s3.api import S3Api
from client_delivery.transfer.s3_wire.chunked import Held

if TYPE_CHECKING:
    from client_delivery.transfer.prepared import Prepared
    from client_delivery.transfer.s3_wire.access import S3Access

_LOCATION = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/((?:[^\s/]+/)*)")
_MIB = 1024**2
_SMALLEST_PART = 16 * _MIB
_LARGEST_PART = 256 * _MIB
"""Parts are held in memory: where they come from cannot be read again."""
_MOST_PARTS = 10_000
_IN_MEMORY = 64 * _MIB
"""Of parts under way at once, one being filled besides; a single part may be larger."""


class _Foreign(TransferError):
    """Somebody else's object is in the place of this attempt's own: a matter of one file."""


class PreparedArea:
    """The place, with an identity that may write, read and delete there.

    :param location: ``s3://bucket/prefix/``.
    """

    def __init__(self, location: str, access: S3Access) -> None:
        found = _LOCATION.fullmatch(location)
        if found is None:
            raise ValueError(location)
        self.bucket, self.prefix = found.groups()
        self.access = access
        # Not validated: a configuration may not name this bucket.
        self._api = S3Api(S3Section.model_construct(type="s3", bucket=self.bucket, prefix=""), access)

    def key(self, about: str, token: int) -> str:
        """Where the attempt with that token prepares what ``about`` tells from everything else.

        No name is in it: names are untrusted, and nobody reads this place.
        """
        digest = hashlib.sha256(about.encode(errors="surrogatepass")).hexdigest()
        return f"{self.prefix}{digest[:40]}/{token}"

    def put(self, key: str, content: bytes, about: Carried) -> tuple[str, Digest]:
        """Write a small object; returns its ETag. An object that is there is of this attempt's own lost request."""
        digest = Digest()
        digest.update(content)
        with _explained():
            try:
                stored = self._api.put(key, content, digest, None, about)
            except Occupied:
                stored = self._own(key, digest)
        return stored.tag.strip('"'), digest

    def put_stream(self, key: str, pieces: Iterable[bytes], most: int, about: Carried) -> tuple[str, Digest]:
        """Write an object of at most ``most`` bytes, of which nobody knows yet how many there are; returns its ETag.

        Several parts go at once, and the whole is compared by its checksum. Nothing is there if this raises.
        """
        part_size = self.part_size(most)
        streams = max(1, min(4, _IN_MEMORY // part_size))
        with _explained():
            upload = self._api.begin(key, about)
        whole, tags = Digest(), dict[int, str]()
        try:
            with ThreadPoolExecutor(streams) as pool:
                under_way: deque[tuple[int, Future[str]]] = deque()
                try:
                    for number, part in enumerate(_cut(pieces, part_size), 1):
                        if len(under_way) >= streams:
                            earlier, future = under_way.popleft()
                            tags[earlier] = future.result()
                        digest = Digest()
                        digest.update(part)
                        whole.append(digest.values, digest.size)
                        under_way.append((number, pool.submit(self._put_part, key, upload, number, part, digest)))
                    for number, future in under_way:
                        tags[number] = future.result()
                finally:
                    for _, future in under_way:
                        future.cancel()
            with _explained():
                try:
                    stored = self._api.complete(key, upload, tags, whole, None)
                except Occupied:
                    stored = self._own(key, whole)
        except BaseException:
            with suppress(TransferError):
                self._api.abort(key, upload)
            raise
        return stored.tag.strip('"'), whole

    @staticmethod
    def part_size(most: int) -> int:
        """The size of the parts of an object of up to so many bytes; more than fits raises :class:`ValueError`."""
        wanted = -(-most // (_MOST_PARTS - 1))
        size = max(_SMALLEST_PART, -(-wanted // _MIB) * _MIB)
        if size > _LARGEST_PART:
            raise ValueError(most)
        return size

    def has(self, prepared: Prepared) -> bool:
        """Whether the object is there as it was prepared. Raises :class:`TransferError` if S3 does not say."""
        where = f"s3://{prepared.bucket}/{prepared.key}"
        try:
            with self.access.exchange(
                "HEAD", prepared.bucket, prepared.key, headers={"If-Match": f'"{prepared.etag}"'}
            ) as response:
                if response.status == 200:
                    return int(response.headers.get("content-length") or -1) == prepared.size
                if response.status in (404, 412):
                    return False
                code, reason = error_code(response)
        except Unreachable as error:
            raise TransferError(f"S3 cannot be reached to look at {where}: {error}. It will be retried.") from error
        raise TransferError(f"S3 does not show {where}, in the prepared area: {reason} [{code}]. It will be retried.")

    def remove(self, prepared: Prepared) -> None:
        """Remove this very object, if it is there. Raises :class:`TransferError`."""
        self._api.withdraw(prepared.key, Stored(f'"{prepared.etag}"', prepared.size, None))

    def source(self, prepared: Prepared) -> SourceObject:
        """The object, for the engine to deliver."""
        return SourceObject(prepared.bucket, prepared.key, prepared.etag, prepared.size)

    def _put_part(self, key: str, upload: str, number: int, part: bytes, digest: Digest) -> str:
        with _explained():
            return self._api.put_part(key, upload, number, Held(part, digest))

    def _own(self, key: str, digest: Digest) -> Stored:
        """What this attempt's own request wrote, whose response was lost."""
        there = self._api.look(key)
        if there is None or there.checksum is None or there.checksum.value != digest.crc32c:
            raise _Foreign(
                f"{self._api.uri(key)}, in the prepared area, was written by someone else. It will be retried."
            )
        return there


@contextmanager
def _explained() -> Iterator[None]:
    """S3 speaks of a recipient; this place is ours. What it refuses, it refuses every file."""
    try:
        yield
    except _Foreign:
        raise
    except TransferError as error:
        kind = TransferError if error.alike == "unreachable" else DestinationUnavailable
        raise kind(
            f"The file could not be put into the prepared area (setting prepared_location), from where it is "
            f"delivered: {error}"
        ) from error


def _cut(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in parts of that size, the last one shorter; at least one, which may be empty."""
    filling, any_yet = bytearray(), False
    for piece in pieces:
        start = 0
        while start < len(piece):
            taken = min(size - len(filling), len(piece) - start)
            filling += memoryview(piece)[start : start + taken]
            start += taken
            if len(filling) == size:
                any_yet = True
                yield bytes(filling)
                filling.clear()
    if filling or not any_yet:
        yield bytes(filling)
