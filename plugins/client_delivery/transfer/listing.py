"""What is at a destination, beside what was delivered there: looked at, never read or changed.

For the files that recipients put back. Deliveries need none of it: many accounts may not list.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

from client_delivery.transfer.contract import TransferError


class ListingRefused(TransferError):
    """The account may not see what is there. The message says which right it needs."""


@dataclass(frozen=True, slots=True)
class There:
    """One file at the destination, without its directory."""

    name: str
    """Untrusted."""
    size: int | None
    modified: datetime | None
    """By the destination's clock; None where it does not say."""


class Limit:
    """How long all looking together may take, whatever is there."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def check(self, where: str) -> None:
        """Called for each page. Raises :class:`~client_delivery.transfer.contract.TransferError` when it is over."""
        if time.monotonic() > self._end:
            raise TransferError(
                f"Listing {where}, which holds very many files, takes more than {self._seconds:.0f} s. Have unneeded "
                "files removed there, or have acknowledgements put into a separate directory."
            )


class Listing(Protocol):
    """A destination, open for looking."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def files(self, directory: str, begins: str) -> Iterator[There]:
        """The files in one directory, page by page, in any order; none if there is no such directory.

        :param directory: below the place, with a ``/`` at the end, or empty.
        :param begins: what the names begin with that are asked for; others may come as well.

        Raises :class:`ListingRefused`, or another :class:`~client_delivery.transfer.contract.TransferError`.
        """
