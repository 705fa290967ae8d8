"""What the shared way of delivering objects (:mod:`client_delivery.transfer.objects.destination`) asks of a service.

Each service's API has the same few verbs; what follows from their responses is decided once, in the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from client_delivery.transfer.contract import Refused
from client_delivery.transfer.integrity import Digest, OwnChecksum

if TYPE_CHECKING:
    from client_delivery.transfer.reading.carried import Carried
    from client_delivery.transfer.reading.source import Span


@dataclass(frozen=True, slots=True)
class Stored:
    """An object at its place."""

    tag: str
    """What tells this object from every other one at the same place: Google's generation, S3's ETag."""
    size: int | None = None
    """Bytes; None where the response did not say."""
    checksum: OwnChecksum | None = None
    """Of the whole object, by the service; None where the response did not say."""

    @property
    def algorithm(self) -> str | None:
        """Of the checksum."""
        return self.checksum.algorithm if self.checksum else None


class Occupied(Exception):
    """Not written: what is at the place is not what was to be replaced, or the upload is gone.

    :param repeated: whether an earlier try of the same request may have taken effect.
    :param upload_gone: whether there is no such upload: complete, or aborted by somebody else.
    """

    def __init__(self, *, repeated: bool = True, upload_gone: bool = False) -> None:
        super().__init__()
        self.repeated = repeated
        self.upload_gone = upload_gone


class LookDenied(Refused):
    """The account may not look at objects. It can still deliver: nothing is overwritten without a check."""


class ObjectApi(Protocol):
    """One bucket, as one account sees it. For any number of threads.

    Verbs raise :class:`~client_delivery.transfer.contract.TransferError` or one of its kinds. ``instead_of`` is the
    object that may be replaced; None if there may be none.
    """

    largest: int
    """Bytes that one object can have."""
    fences_completion: bool
    """Whether :meth:`complete` honours ``instead_of``."""

    def uri(self, key: str) -> str:
        """Where an object is."""

    def look(self, key: str) -> Stored | None:
        """What is at the place now. Raises :class:`LookDenied`."""

    def put(self, key: str, content: bytes, digest: Digest, instead_of: Stored | None, about: Carried) -> Stored:
        """Write a small object; the service refuses it if its checksum is another. Raises :class:`Occupied`."""

    def begin(self, key: str, about: Carried) -> str:
        """Begin a multipart upload; returns its id."""

    def put_part(self, key: str, upload_id: str, number: int, span: Span) -> str:
        """Send one part, compare its checksum with the span's, and return the part's ETag."""

    def parts(self, key: str, upload_id: str) -> dict[int, str] | None:
        """The ETags of the parts that have arrived, by number; None if the upload is gone or may not be read."""

    def complete(
        self, key: str, upload_id: str, part_etags: Mapping[int, str], digest: Digest, instead_of: Stored | None
    ) -> Stored:
        """Make the object visible. Raises :class:`Occupied`."""

    def open_uploads(self, key: str) -> list[str]:
        """The ids of the uploads for that key that are neither complete nor aborted; none if they may not be listed.

        Then the lifecycle rules of the bucket have to remove what attempts leave behind that die too early.
        """

    def abort(self, key: str, upload_id: str) -> None:
        """Remove what has arrived of an upload, if it is still there and the account may."""

    def withdraw(self, key: str, stored: Stored) -> None:
        """Remove this very object, if it is still there and the account may."""
