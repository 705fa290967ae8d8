"""That the server has what was sent (R6.4).

A size proves it only where one writer wrote from front to back. Where several did, or a later attempt went on, some of
the bytes are read back: around every edge on a server with a file system, all of them elsewhere. What a server has
acknowledged and not synced is read back before anybody goes on after it, for the server may have crashed meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from client_delivery.runtime.backoff import Backoff, Retries
from client_delivery.transfer.contract import IntegrityError, Receipt, TransferError
from client_delivery.transfer.integrity import CRC32C, Digest, require_equal
from client_delivery.transfer.reading.source import Source
from client_delivery.transfer.sftp.packets import FAILURE, NO_SUCH_FILE, SftpError
from client_delivery.transfer.sftp.server import Server
from client_delivery.transfer.sftp.session import SftpSession

if TYPE_CHECKING:
    from client_delivery.transfer.sftp.lanes import Lane

EDGE = 64 * 1024
"""Bytes read back at an edge."""
_WHOLE = 64 * 1024**2
"""Bytes up to which a file is compared by reading all of it, where that is for certainty and not asked for."""
_LAGS = 10.0
"""Seconds for which a size that is still too small is looked at again: scanners, replication, object stores."""
_APPEARS = 3.0
"""Seconds for which a file that is not there is looked for."""
_BACKOFF = Backoff(first=0.2, longest=2.0, jitter=False)


class WrongContent(IntegrityError):
    """Bytes on the server are not those that were sent: the file is to be sent again from nothing, by one writer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that has been written and closed."""

    part: str
    """Under which name."""
    uri: str
    """Where it is to be."""
    digest: Digest
    """Of what was read."""
    told: int | None
    """The size that the server reported before the file was closed, if it did."""


def proven(sftp: SftpSession, server: Server, sent: Sent, *, read_back: bool) -> Receipt:
    """Compare what is under the temporary name with what was read, for one writer from front to back.

    Raises :class:`IntegrityError`, and :class:`SftpError` where reading back is refused, or nothing is there.
    """
    uri, digest, part = sent.uri, sent.digest, sent.part
    receipt = Receipt(uri, digest.size, f"crc32c:{digest.crc32c}", "size", crc64nvme=digest.crc64nvme)
    if read_back:
        stored = Digest()
        for piece in sftp.read(part, digest.size):
            stored.update(piece)
        require_equal(uri, stored.crc32c, digest.crc32c)
        return replace(receipt, verified_by="read-back")
    size = sent.told if sent.told == digest.size else settled_size(sftp, server, part, digest.size, sent.told)
    if size is None:
        return replace(receipt, verified_by="acknowledged")  # a server without stat: more it cannot say
    if size != digest.size:
        raise IntegrityError(
            f"{uri} has {size} bytes on the server, but {digest.size} were sent. The file was not put in place and "
            "will be retried."
        )
    return receipt


def settled_size(
    sftp: SftpSession, server: Server, path: str, expected: int, told: int | None = None, *, exactly: bool = False
) -> int | None:
    """The size of a file by its name. Some servers know it only a while after the close, and say less until then.

    :param told: what to return where the server refuses to tell.
    :param exactly: a larger size, of an older file, may be what the server still says, too.

    None if the server does not tell. Raises :class:`SftpError` if the file is not there.
    """
    retries = Retries(_BACKOFF)
    while True:
        try:
            size = sftp.stat(path, follow=False).size
        except SftpError as error:
            if not server.tells or error.code not in (NO_SUCH_FILE, FAILURE):
                return told or None  # before the close, nothing is what some servers say of any file
            if not retries.wait(_APPEARS):
                raise
        else:
            server.tells = True
            if size is None or size == expected or (size > expected and not exactly):
                return size
            if not retries.wait(_LAGS):
                return size


def require_whole(sftp: SftpSession, path: str, digest: Digest) -> None:
    """Read all of it back. Raises :class:`WrongContent`, and :class:`SftpError` where that is refused."""
    stored = Digest()
    for piece in sftp.read(path, digest.size + 1):
        stored.update(piece)
    if (stored.size, stored.crc32c) != (digest.size, digest.crc32c):
        raise WrongContent(
            f"{path}: the server's file ({stored.size} bytes, crc32c:{stored.crc32c}) is not what was sent "
            f"({digest.size} bytes, crc32c:{digest.crc32c})."
        )


def require_stretches(sftp: SftpSession, path: str, expected: Sequence[tuple[int, bytes]]) -> None:
    """Read these stretches back. Raises as :func:`require_whole` does."""
    stored = sftp.read_stretches(path, [(start, len(data)) for start, data in expected])
    for (start, data), found in zip(expected, stored, strict=True):
        if found != data:
            raise WrongContent(f"{path}: at byte {start} the server's bytes differ from those that were sent.")


def require_resumable(sftp: SftpSession, path: str, lanes: Sequence[Lane]) -> None:
    """Bytes that the server acknowledged but did not sync are there. Raises as :func:`require_whole` does."""
    for lane in lanes:
        found = Digest()
        found.size, found.values[CRC32C] = lane.synced.size, lane.synced.values[CRC32C]
        for piece in sftp.read(path, lane.digest.size - lane.synced.size, lane.start + lane.synced.size):
            found.update(piece)
        if (found.size, found.values[CRC32C]) != (lane.digest.size, lane.digest.values[CRC32C]):
            raise WrongContent(
                f"{path}: the bytes that an earlier attempt wrote from byte {lane.start} on are no longer on the "
                "server as it acknowledged them."
            )


def holds(sftp: SftpSession, path: str, source: Source, checksum: str) -> bool | None:
    """Whether a file of the right size has the source's content. None if the server lets nobody read.

    :param checksum: as in a receipt; empty if nobody knows it.
    """
    size = source.object.size
    try:
        if size <= _WHOLE and checksum:
            stored = Digest()
            for piece in sftp.read(path, size):
                stored.update(piece)
            return checksum == f"crc32c:{stored.crc32c}"
        starts = sorted({0, size // 3, 2 * size // 3, size - EDGE})
        require_stretches(sftp, path, [(start, _bytes_of(source, start, start + EDGE)) for start in starts])
    except WrongContent:
        return False
    except (SftpError, TransferError):
        return None  # neither the server nor S3 can be asked
    return True


def edges_of(source: Source, offsets: Sequence[int]) -> list[tuple[int, bytes]]:
    """The source's bytes around these offsets."""
    size = source.object.size
    stretches = ((max(0, offset - EDGE), min(size, offset + EDGE)) for offset in sorted(set(offsets)))
    return [(start, _bytes_of(source, start, end)) for start, end in stretches if start < end]


def _bytes_of(source: Source, start: int, end: int) -> bytes:
    return b"".join(bytes(piece) for piece in source.read(start, end))
