"""Whether a file is what is expected of it, before any byte of it goes (R5.10).

A pure decision on what is known of the file, of the others that wait, and of what was delivered before. What is not as
it should be is held with the reason; an empty eligibility file may terminate members.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from client_delivery.config.guards import GuardsSection

MARK = "Held by a guard: "
"""What the reason of every file begins with that a guard holds."""
LAST = 7
"""Deliveries whose sizes are compared with."""
_FEWEST = 3
_LET_THROUGH = (
    "If the file is right nevertheless, let it through: trigger the DAG with 'Resend failed files' and a "
    "'Reason'. If it is wrong, remove it from the pick-up and have the right one dropped."
)


class File(Protocol):
    """A file that waits, as far as a guard looks at it."""

    @property
    def name(self) -> str:
        """The path below the pick-up's prefix."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def last_modified(self) -> datetime:
        """When it was put there."""


class Guards:
    """The guards of one run.

    :param sizes_before: the sizes of the last deliveries of files with names of this shape, the newest first.
    :param checksum_refusal: what is wrong with a file's checksum file, or its content; None if nothing is.
    :param now: when the run looked at the pick-up.
    """

    def __init__(
        self,
        config: GuardsSection,
        *,
        now: datetime,
        sizes_before: Callable[[str], Sequence[int]] = lambda name: (),
        checksum_refusal: Callable[[File], str | None] = lambda file: None,
    ) -> None:
        self._config = config
        self._now = now
        self._sizes_before = sizes_before
        self._checksum_refusal = checksum_refusal
        self._counted = False
        self._counts = [0] * len(config.expected_files)

    def unstable(self, file: File) -> bool:
        """Whether somebody may still be writing it."""
        wait = self._config.stable_for
        return wait is not None and self._now - file.last_modified < wait

    def count(self, names: Iterable[str]) -> None:
        """Count files of the set: all of them, before any decision goes by it."""
        self._counted = True
        for name in names:
            for number, expected in enumerate(self._config.expected_files):
                self._counts[number] += expected.matches(name)

    def refusal(self, file: File) -> str | None:
        """Why the file is held; None if nothing is against it. The message says how to let it through."""
        why = self._of_size(file) or self._of_set() or self._checksum_refusal(file)
        return None if why is None else f"{MARK}{why} {_LET_THROUGH}"

    def _of_size(self, file: File) -> str | None:
        config, size = self._config, file.size
        if config.not_empty and not size:
            return "the file is empty (guards.not_empty)."
        if config.min_size is not None and size < config.min_size:
            return f"the file has {size:,} bytes, but at least {config.min_size:,} are expected (guards.min_size)."
        if config.max_size is not None and size > config.max_size:
            return f"the file has {size:,} bytes, but at most {config.max_size:,} are expected (guards.max_size)."
        return self._of_history(file)

    def _of_history(self, file: File) -> str | None:
        within = self._config.size_within
        if within is None:
            return None
        before = list(self._sizes_before(file.name))[:LAST]
        if len(before) < _FEWEST:
            return None
        usual = median(before)
        if abs(file.size - usual) * 100 <= within * usual:
            return None
        return (
            f"the file has {file.size:,} bytes, but the median of the last {len(before)} of its kind is "
            f"{usual:,.0f}: more than {within}% apart (guards.size_within)."
        )

    def _of_set(self) -> str | None:
        if not self._counted:
            return None  # a look that only asks whether there is anything to do
        for expected, count in zip(self._config.expected_files, self._counts, strict=True):
            most = expected.at_most
            if count < expected.at_least or (most is not None and count > most):
                wanted = f"at least {expected.at_least}" if most is None else f"{expected.at_least} to {most}"
                return (
                    f"the set is not complete: {count} files are like {expected.pattern!r}, but {wanted} are expected "
                    "(guards.expected_files)."
                )
        return None


def shape(name: str) -> str:
    """A name without what changes from one delivery to the next: digits, as in a date or a number."""
    return re.sub(r"\d+", "#", name)
