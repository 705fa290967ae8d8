"""What the transfer engine promises its callers, and what it asks of them.

A caller (the worker's operator, or the ECS container) opens one :class:`Destination` and hands it :class:`Job`
after :class:`Job`; the destination pulls the bytes from S3 itself. All that the engine wants back is a
:class:`Journal`, behind which the ledger stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, Self

from client_delivery.transfer.prepared import Prepared


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object in the pick-up, pinned by its ETag: no other content is ever read in its name (R6.4)."""

    bucket: str
    key: str
    etag: str
    """The ETag as S3 sends it, without the quotation marks."""
    size: int
    """Bytes."""
    last_modified: datetime | None = None
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One file to deliver."""

    name: str
    """The path below the pick-up's prefix, ``/``-separated: what the recipient shall see. Untrusted (R6.8)."""
    source: SourceObject
    token: int
    """The attempt's fencing token (R3.5): larger than that of every earlier attempt of this file."""
    resume: Mapping[str, Any] | None = None
    """What an earlier attempt last gave to :meth:`Journal.checkpoint`, or None to start from nothing."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a verified delivery (R6.4)."""

    uri: str
    """Where the file is now: ``gs://``, ``s3://`` or ``sftp://`` and the path. Never holds a credential."""
    size: int
    """Bytes at the destination."""
    checksum: str
    """``<algorithm>:<value>``, for example ``crc32c:yZRlqg==``, of the bytes read and, where it says, stored."""
    verified_by: str
    """How the destination's copy was compared: ``checksum``, ``size``, ``read-back``, or ``acknowledged`` by a server
    that tells nothing else. With ``, direct`` after it, the file was written under its own name: the recipient may
    have seen it while it grew."""
    remark: str | None = None
    """What an operator should know although the delivery is good, for example who has overwritten the object since."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Checksums of the bytes at the destination that somebody asked for, in hexadecimal, by algorithm."""
    crc64nvme: str | None = None
    """CRC64NVME of the file in the pick-up, base64, where its bytes went by: S3 knows most objects by it (R3.6)."""
    prepared: Prepared | None = None
    """What was delivered, if it was not the file as it is in the pick-up: to be removed once this is recorded."""


class Journal(Protocol):
    """Where the engine notes how one job is getting on."""

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Persist what a later attempt needs to resume (JSON-like, well under 100 KiB).

        Raises :class:`Superseded` if a newer attempt owns the file.
        """

    def confirm(self) -> None:
        """Called right before the delivery becomes visible.

        Raises :class:`Superseded` if a newer attempt owns the file; the delivery must then not become visible.
        """

    def resumed(self, there: int) -> None:
        """``there`` bytes of an earlier attempt are at the destination and are not read again."""

    def progress(self, moved: int) -> None:
        """``moved`` more bytes have been taken by the destination. Cheap, and called from several threads.

        Also called with 0, every second, while nothing moves. Raises :class:`Interrupted` when everything is to stop.
        """


class Destination(Protocol):
    """One client's destination, open. :meth:`deliver` may be called from ``parallel_jobs`` threads at once."""

    parallel_jobs: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def deliver(self, job: Job, journal: Journal) -> Receipt:
        """Deliver one file: stream, verify, then make visible.

        Raises :class:`TransferError` (or a subclass) for what concerns this file or destination,
        :class:`Superseded` when the attempt no longer owns the file.
        """

    def discard(self, name: str, resume: Mapping[str, Any]) -> None:
        """Remove what an attempt that will not be resumed left behind: an open multipart upload, a ``.part`` file."""


class TransferError(Exception):
    """A delivery failed. The message says what was wrong, where, what was expected and what to do; no secret in it."""

    retry_helps: ClassVar[bool] = True
    """Whether another attempt may succeed without anybody doing anything."""
    whole_destination: ClassVar[bool] = False
    """Whether every other file would meet the same."""
    alike: str | None = None
    """What the failures of several files are compared by; None for what says nothing about other files."""


class SourceChanged(TransferError):
    """The object in the pick-up is no longer the one that was registered (another ETag, or gone)."""

    retry_helps = False


class SourceReplaced(SourceChanged):
    """Another object has replaced it: a new file, which a later run sends."""


class IntegrityError(TransferError):
    """What the destination holds, or what S3 sent, is not what it should be."""


class UnsafeName(TransferError):
    """The file's name would leave the destination's directory or prefix, or cannot be stored there (R6.8)."""

    retry_helps = False


class TooLarge(TransferError):
    """The destination cannot hold a file of that size."""

    retry_helps = False


class Refused(TransferError):
    """The destination refuses this one file (R6.12): a right, a retention period, a quota.

    :param alike: the refusal's kind where it may turn out to be every file's: several different files that meet the
        same before any was delivered speak for the destination.
    """

    def __init__(self, message: str, *, alike: str | None = None) -> None:
        super().__init__(message)
        self.alike = alike


class DestinationUnavailable(TransferError):
    """The destination as a whole cannot be used now: unreachable, credential refused, unknown host key, no bucket."""

    whole_destination = True


class NotRepeatable(TransferError):
    """The recipient may have the file, or has it in a wrong form: nothing is sent again automatically.

    The message says what a person is to find out, and to do.
    """

    retry_helps = False


class Superseded(Exception):
    """A newer attempt owns the file (R3.5). The holder must stop without changing anything."""


@contextmanager
def discarding(
    destination: Destination, name: str, state: Callable[[], Mapping[str, Any]], *, on: type[Exception]
) -> Iterator[None]:
    """Remove what has been begun at the destination when it ends like that: no attempt can go on with it.

    On :class:`Superseded` around the first checkpoint: nobody else knows of it yet. On :class:`IntegrityError`: which
    of the bytes are wrong, nobody knows.
    """
    try:
        yield
    except on:
        destination.discard(name, state())
        raise


class Interrupted(Exception):
    """The transfer was told to stop; what it has achieved is kept where the protocol allows."""
