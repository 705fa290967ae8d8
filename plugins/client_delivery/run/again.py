"""Files that were asked for by name on the Deliveries page: send these again, or dismiss them (R9.1).

The sender is not needed: the bytes are read from the pick-up, its archive, or the version that was delivered, in this
order. They arrive under the name under which they were delivered before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from client_delivery.ledger.arrival import ArrivalName
from client_delivery.ledger.entry import Entry, Status
from client_delivery.pickup.intake import Intake, Take
from client_delivery.runtime.events import as_json

if TYPE_CHECKING:
    from client_delivery.ledger.file import PickupFile
    from client_delivery.pickup.survey import Survey
    from client_delivery.run.context import Run

MOST = 1000
"""Files that can be asked for at once: all of them are in the run's parameters."""
_NAMED = 20


def asked_again(params: Mapping[str, Any]) -> list[str]:
    """The sort keys of the entries to send again; a run that an older release began has none."""
    return list(dict.fromkeys(params.get("send_again") or ()))


def asked_to_dismiss(params: Mapping[str, Any]) -> list[str]:
    """The sort keys of the entries to dismiss."""
    return list(dict.fromkeys(params.get("dismiss") or ()))


class Again:
    """The decisions about the files that were asked for, instead of a look at the pick-up.

    Such a run sends nothing else, so that the record names nobody as having asked for another file.
    """

    done_file = None
    unstable = 0

    def __init__(self, run: Run) -> None:
        self._run = run
        entries = run.ledger.find(asked_again(run.params))
        self.unknown = [key for key in asked_again(run.params) if key not in entries]
        """Sort keys that the ledger does not know."""
        self.without_reason = [entry for entry in entries.values() if entry.guarded and not run.note]
        """Entries that a guard holds: they are sent only with a reason (R5.10)."""
        self._resumed = [entry for entry in entries.values() if entry.status is Status.PROCESSING]
        wanted = [entry for entry in entries.values() if self._is_to_be_sent(entry)]
        places = list(zip(wanted, run.pickup.locate(entry.kept for entry in wanted), strict=True))
        self._found = [_once_more(entry, file) for entry, file in places if file is not None]
        self.nowhere = [entry for entry, file in places if file is None]
        """Entries that cannot be sent, because their bytes are gone."""

    def parts(self) -> Iterator[Intake]:
        """The decisions, the same each time."""
        resume = [Take(entry.identity, entry.source, entry.duplicate_names, before=entry) for entry in self._resumed]
        yield Intake(resume=resume, rearm=self._found, complete=False)

    def close(self) -> None:
        """Nothing to free."""

    def _is_to_be_sent(self, entry: Entry) -> bool:
        owner = self._run.owner
        if entry.status is Status.SUCCESS:
            # An earlier try, or a life of this run before it was cleared, has sent it.
            return not entry.armed_by.is_same_run(owner)
        return (
            entry.status is Status.FAIL
            and entry not in self.without_reason
            and not (entry.active and entry.owned_by.is_same_life(owner))
        )


def _once_more(entry: Entry, file: PickupFile) -> Take:
    """A delivered file arrives under the name that it had then."""
    name = ArrivalName.of(entry) if entry.status is Status.SUCCESS else None
    return Take(entry.identity, file, before=entry, name=name)


def survey_of(run: Run, *, needs_done_file: bool | None = None) -> Survey | Again:
    """The decisions about the files that were asked for by name, or about each that waits. To be closed."""
    return Again(run) if asked_again(run.params) else run.survey(needs_done_file=needs_done_file)


def wait_for_drop(run: Run, nowhere: Iterable[Entry]) -> None:
    """When somebody drops one of these again, the next run sends it."""
    entries = list(nowhere)
    if not entries:
        return
    run.ledger.want(entries, run.owner)
    names = sorted(entry.file_name for entry in entries)
    run.log_event("bytes_nowhere", level=logging.ERROR, files=len(names), names=names[:_NAMED])
    run.note_on_board(lambda board: board.wanted(run.config.name, run.facts, names))


def what_is_nowhere(run: Run) -> str | None:
    """The message about files that this run was asked to send and could not find; None if it found all of them."""
    entries = run.ledger.find(asked_again(run.params)).values()
    missing = sorted(e.file_name for e in entries if e.wanted is not None and e.wanted.run == str(run.owner))
    if not missing:
        return None
    files = "1 file" if len(missing) == 1 else f"{len(missing)} files"
    return (
        f"The bytes of {files} of {run.config.delivery_key} no longer exist, neither in the pick-up nor in an "
        f"archive nor as a version of the object: {_listed(missing)}. Ask the sender to drop them again in "
        f"{run.place}: the next run then sends them, under the name that the recipient knows; for a client "
        "with a done file, the run with the next done file does."
    )


def what_needs_a_reason(entries: Sequence[Entry]) -> str:
    """The message about files that this run was asked to send, and that go only with a reason."""
    named = _listed([entry.file_name for entry in entries])
    return (
        f"A guard holds what was asked for, and such a file is sent only with a reason: {named}. Nothing was sent. Ask "
        "for it again, and give the reason."
    )


def _listed(names: Sequence[str]) -> str:
    """Some of these names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(as_json, names[:_NAMED])) + more


def dismiss(run: Run) -> int:
    """Dismiss the files that were asked for (R5.9); returns how many files are no longer held."""
    keys = asked_to_dismiss(run.params)
    if not keys:
        return 0
    entries = [
        entry
        for entry in run.ledger.find(keys).values()
        if not entry.active and (entry.wanted is not None or (entry.status is Status.FAIL and entry.dismissed is None))
    ]
    done = run.ledger.dismiss(entries, run.owner)
    # Without a dismissed file, the set that it came with may be complete.
    run.sets.mark_due(dict.fromkeys(entry.set_id for entry in entries if entry.set_id and entry.identity in done))
    names = sorted(entry.file_name for entry in entries if entry.identity in done)
    run.log_event("files_dismissed", files=len(done), names=names[:_NAMED], by=run.asked_by, why=run.note)
    run.note_on_board(lambda board: board.satisfied(run.config.name, names))
    return len(done)
