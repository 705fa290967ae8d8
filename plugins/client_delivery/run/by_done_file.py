"""The first line of the done file, for clients whose delivered names contain it: ``{done_file}`` in ``deliver_as``.

Each file keeps the line with which it came. The line is noted while the done file is there, before the file gets its
name, and for files that a guard holds as well: a file that is named later goes by its own done file.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from client_delivery.config.delivered import names_by_done_file
from client_delivery.config.name_template import MOST_DONE_FILE_BYTES, NameNotMade, first_line

if TYPE_CHECKING:
    from client_delivery.pickup.intake import Take
    from client_delivery.pickup.survey import Survey
    from client_delivery.run.again import Again
    from client_delivery.run.context import Run


class ByDoneFile:
    """The lines of a run's files.

    :param dry: note nothing.
    """

    def __init__(self, run: Run, survey: Survey | Again, *, dry: bool) -> None:
        self._run = run
        self._done_file = survey.done_file
        self._dry = dry
        self._wanted = names_by_done_file(run.config)

    @property
    def trouble(self) -> NameNotMade | None:
        """Why the done file that is there says nothing that can be part of a name; None if it does, or there is none.

        Raises :class:`~client_delivery.pickup.pickup.PickupError` if it cannot be read.
        """
        return self._now if isinstance(self._now, NameNotMade) else None

    def lines(self, takes: Iterable[Take]) -> dict[str, str]:
        """The line of each file that came with a done file, by its :func:`arrival_of`.

        A file that has none yet came with the done file that is there now. Raises as :attr:`trouble` does.
        """
        if not self._wanted:
            return {}
        arrivals = [arrival_of(take) for take in takes]
        known = self._run.done_file_lines.known(arrivals)
        fresh = [arrival for arrival in arrivals if arrival not in known]
        if not fresh or not isinstance(self._now, str):
            return known
        if not self._dry:
            self._run.done_file_lines.note(fresh, self._now)
        return known | dict.fromkeys(fresh, self._now)

    @cached_property
    def _now(self) -> str | NameNotMade | None:
        if not self._wanted or self._done_file is None:
            return None
        try:
            return first_line(self._run.pickup.done_file_begins(self._done_file, MOST_DONE_FILE_BYTES))
        except NameNotMade as why:
            return why


def arrival_of(take: Take) -> str:
    """Identifies this arrival of the file; the same content, dropped again, is another arrival."""
    file = take.file
    return f"{take.identity} {file.path} {file.etag} {file.last_modified.isoformat()}"
