"""Companions of a set: a checksum file beside each file, and the completion file when the whole set has arrived.

Which files belong to a set, and what its completion file is called, is fixed when they are registered. What is due is
delivered when the run's transfers are over, by one task, from what the ledger says; the same bytes each time, so that
a try that died may be repeated at any point. What cannot be delivered then is tried by the next run.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from client_delivery.config.delivered import completion_name, completion_sequences, has_companions
from client_delivery.ledger.entry import Entry, Status, timestamp
from client_delivery.ledger.sets import FileSet
from client_delivery.run.destination import destination_of
from client_delivery.runtime.events import as_json, one_line
from client_delivery.transfer.contract import Destination, Receipt, TransferError
from client_delivery.transfer.crew import side_by_side
from client_delivery.transfer.reading.held import HeldFiles, NoJournal

if TYPE_CHECKING:
    from client_delivery.pickup.intake import Take
    from client_delivery.run.context import Run

_PAGE = 500
_LARGEST_PROOF = 3_000_000
"""Bytes. Amazon SES takes 10 MB after base64, the table of all files among them."""


class SetOfRun:
    """To which set each file belongs that a run registers."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._id = str(run.owner)
        self._sealed: dict[str, bool] = {}
        self._any = False
        self._wanted = has_companions(run.config)

    def of(self, takes: Sequence[Take], held: Sequence[Take]) -> dict[str, str | None]:
        """The set of each, by sort key; noted in the ledger before anything is done with them."""
        if not self._wanted:
            return {take.identity: take.before.set_id if take.before else None for take in takes}
        earlier = {take.before.set_id for take in takes if take.before and take.before.set_id}
        unknown = earlier - self._sealed.keys()
        self._sealed |= dict.fromkeys(unknown, False) | dict.fromkeys(self._run.sets.find(unknown), True)
        found = {take.identity: self._of(take) for take in takes} | {take.identity: self._id for take in held}
        ours = [identity for identity, one in found.items() if one == self._id]
        if ours:
            self._any = True
            self._run.sets.note(self._id, ours)
        return found

    def seal(self) -> None:
        """All files of the run are registered."""
        config = self._run.config
        if not self._any:
            return
        at, numbers = datetime.now(UTC), dict[str, int]()
        if completion_sequences(config):
            day = f"{at.astimezone(ZoneInfo(config.timezone)):%Y-%m-%d}"
            given = self._run.set_numbers.give([self._id], day=day, at=timestamp(at))[self._id]
            at, numbers = datetime.fromisoformat(given.at), {"sequence": given.ever, "daily_sequence": given.of_day}
        content = config.completion_file.content if config.completion_file else "empty"
        self._run.sets.seal(FileSet(self._id, completion_name(config, at, numbers), content, config.sidecar))

    def _of(self, take: Take) -> str | None:
        before = take.before
        if before is None:
            return self._id
        if before.status is Status.SUCCESS:
            same = take.name is not None or before.source == take.file or before.wanted is not None
            return before.set_id if same else self._id
        # A file that failed, or was begun, belongs to the set that it came with, if that set was sealed.
        return before.set_id if before.set_id and self._sealed.get(before.set_id) else self._id


def companions_are_due(run: Run) -> bool:
    """Whether something of an earlier run is left to be delivered beside its files."""
    return has_companions(run.config) and bool(run.sets.due())


def deliver_companions(run: Run, entries: Iterable[Entry]) -> None:
    """Deliver what is due beside these files, and beside those of earlier runs. Never raises: the next run retries.

    A set of which a file is missing gets no completion file; the run that delivers the file looks again.
    """
    ids = _sets_to_look_at(run, entries)
    for one in run.sets.find(ids).values() if ids else ():
        try:
            _deliver_due(run, one)
        except Exception as error:
            known = isinstance(error, TransferError)
            why = str(error) if known else f"unexpected {type(error).__name__}; see the log"
            run.log_event("companions_not_delivered", level=logging.ERROR, set=one.id, error=why)
            if not known:
                logging.getLogger(__name__).exception("Unexpected error beside the files")
            run.sets.mark_due([one.id], why)


def undelivered(run: Run, entries: Iterable[Entry]) -> str | None:
    """Why something beside the files could not be delivered; None if everything was."""
    ids = _sets_to_look_at(run, entries)
    if not ids:
        return None
    troubles = [one.trouble for one in run.sets.find(ids).values() if one.trouble]
    if not troubles:
        return None
    return (
        f"The files are there, but not all that belongs beside them (checksum files, completion file): "
        f"{one_line(troubles[0])} The next run will retry; to retry now, clear the task `notify_finished`."
    )


def of_sets(run: Run, entries: Iterable[Entry]) -> list[str]:
    """How the completion files of these files' sets stand, for an e-mail."""
    ids = _sets_of(entries)
    found = run.sets.find(ids).values() if ids else ()
    return [
        f"{one.completion}: {'delivered' if one.completed_at else 'not yet, for the set is not complete'}"
        for one in found
        if one.completion
    ]


def proofs(run: Run, entries: Iterable[Entry]) -> list[tuple[str, bytes]]:
    """The completion files of these files' sets, by name, as far as they are complete and small, for the contacts."""
    completion = run.config.completion_file
    if completion is None or not completion.to_contacts or completion.content == "empty":
        return []
    ids = _sets_of(entries)
    found = []
    for one in run.sets.find(ids).values():
        if one.completion and one.completed_at:
            sent = [entry for entry in _members(run, one) if entry.status is Status.SUCCESS]
            content = completion_content(one, sent)
            if len(content) <= _LARGEST_PROOF:
                found.append((one.completion.rpartition("/")[2], content))
    return found


def _sets_of(entries: Iterable[Entry]) -> list[str]:
    """The sets of these files, each once."""
    return list(dict.fromkeys(entry.set_id for entry in entries if entry.set_id))


def _sets_to_look_at(run: Run, entries: Iterable[Entry]) -> list[str]:
    """The same, and those of earlier runs beside which something is left to be delivered."""
    ids = _sets_of(entries)
    return list(dict.fromkeys([*ids, *run.sets.due()])) if has_companions(run.config) else ids


def _deliver_due(run: Run, one: FileSet) -> None:
    members = [entry for entry in _members(run, one) if entry.dismissed is None]
    sent = [entry for entry in members if entry.status is Status.SUCCESS]
    beside = [entry for entry in sent if one.sidecar and entry.sidecar_at is None]
    complete = bool(one.completion and not one.completed_at and members and len(sent) == len(members))
    if not (beside or complete):
        missing = [entry.file_name for entry in members if entry.status is not Status.SUCCESS]
        if missing and one.completion and not one.completed_at:
            run.log_event("set_not_complete", level=logging.WARNING, set=one.id, missing=len(missing), of=len(members))
        run.sets.settled(one.id)
        return
    files = HeldFiles()
    with destination_of(run.config, run.settings, files, run.secret_of, copies=False) as destination:
        if one.sidecar:
            _deliver_sidecars(run, one.sidecar, beside, destination, files)
        if complete:
            _refuse_twin(one, sent)
            receipt = _deliver(destination, files, one.completion or "", completion_content(one, sent))
            run.sets.completed(one.id, receipt.uri, receipt.checksum)
            run.log_event("set_completed", set=one.id, file=one.completion, delivered_to=receipt.uri, files=len(sent))
    run.sets.settled(one.id)


def _refuse_twin(one: FileSet, sent: Iterable[Entry]) -> None:
    """Nothing takes the place of a file. Raises :class:`TransferError`."""
    if any(entry.arrives_as == one.completion for entry in sent):
        raise TransferError(
            f"A file of the set is called {as_json(one.completion)}, like the completion file, which would replace it. "
            "Nothing was written. Change completion_file.name, which holds from the next set on."
        )


def _members(run: Run, one: FileSet) -> Iterator[Entry]:
    keys = run.sets.members(one.id)
    for start in range(0, len(keys), _PAGE):
        entries = run.ledger.find(keys[start : start + _PAGE]).values()
        yield from (entry for entry in entries if entry.set_id == one.id)


def _deliver_sidecars(
    run: Run, algorithm: str, entries: Sequence[Entry], destination: Destination, files: HeldFiles
) -> None:
    def deliver(entry: Entry) -> None:
        _deliver(destination, files, f"{entry.arrives_as}.{algorithm}", sidecar_content(entry, algorithm))
        run.ledger.sidecar_delivered(entry)

    side_by_side(deliver, entries, destination.parallel_jobs)
    if entries:
        run.log_event("checksum_files_delivered", files=len(entries))


def _deliver(destination: Destination, files: HeldFiles, name: str, content: bytes) -> Receipt:
    return destination.deliver(files.job(name, content, 1), NoJournal())


def sidecar_content(entry: Entry, algorithm: str) -> bytes:
    """As ``sha256sum`` writes it, so that the recipient can check the file with ``sha256sum --check``.

    Raises :class:`TransferError` if nobody knows the checksum.
    """
    digest = entry.digests.get(algorithm)
    if digest is None:
        raise TransferError(
            f"The {algorithm} of {as_json(entry.file_name)} is not known: it was delivered before the configuration "
            "asked for it. Send the file again from the Deliveries page."
        )
    return f"{digest}  {entry.arrives_as.rpartition('/')[2]}\n".encode()


def completion_content(one: FileSet, sent: Iterable[Entry]) -> bytes:
    """The content of a completion file: the same bytes for the same files, at every attempt."""
    files = sorted(sent, key=lambda entry: entry.arrives_as)
    rows: list[dict[str, Any]] = [
        {"name": entry.arrives_as, "size": entry.size_there, "sha256": entry.digests.get("sha256")} for entry in files
    ]
    count, total = len(rows), sum(row["size"] for row in rows)
    match one.content:
        case "names":
            return "".join(f"{row['name']}\n" for row in rows).encode()
        case "csv":
            table = io.StringIO()
            writer = csv.writer(table, lineterminator="\n")
            writer.writerow(("name", "size", "sha256", "count", "total"))
            writer.writerows((row["name"], row["size"], row["sha256"], count, total) for row in rows)
            return table.getvalue().encode()
        case "json":
            manifest = {"count": count, "total": total, "files": rows}
            return json.dumps(manifest, ensure_ascii=False, indent=1).encode() + b"\n"
    return b""
