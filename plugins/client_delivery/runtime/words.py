"""What an event says to a person, as one sentence; the JSON beside it is for queries and alarms (R8.1).

Names and servers' words are untrusted: they stand in a sentence as JSON, or with their control characters escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from client_delivery.notify.sizes import human_size
from client_delivery.runtime.events import as_json, one_line

Fields = Mapping[str, Any]


def in_words(fields: Fields) -> str | None:
    """The event as a sentence; None for what only machines ask for, or what says it already."""
    say = _SENTENCES.get(fields.get("event", ""))
    return say(fields) if say else None


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _detected(fields: Fields) -> str:
    kinds = {
        "new": "new",
        "unfinished": "unfinished from an earlier run",
        "again": "to be sent again",
        "already_sent": "sent before",
        "held": "held, waiting for somebody",
    }
    found = [f"{fields[name]:,} {words}" for name, words in kinds.items() if fields.get(name)]
    done_file = {True: " The done file is there.", False: ""}[bool(fields.get("done_file"))]
    return f"Found in the pick-up: {', '.join(found) or 'nothing to send'}.{done_file}"


def _health(fields: Fields) -> str:
    left = fields.get("left_active", 0)
    return f"Health check: {f'a run that died left {_files(left)} active' if left else 'no run has left files active'}."


def _nothing(fields: Fields) -> str:
    if (waiting := fields.get("waiting_for_window")) is not None:
        more = "more than " if fields.get("and_more") else ""
        return f"Outside the window: {more}{_files(waiting)} wait until it opens, {fields.get('opens')}."
    waiting = fields.get("waiting_for_done_file")
    if waiting is None:
        return "Nothing to do."
    if not waiting:
        return "Nothing to do: no file and no done file is there."
    more = "more than " if fields.get("and_more") else ""
    return f"Nothing is sent yet: {more}{_files(waiting)} wait{'s' if waiting == 1 else ''} for the done file."


def _expected(fields: Fields) -> str:
    return f"{one_line(str(fields.get('expected')))}; {fields.get('came', 0)} of {fields.get('at_least', 1)} have come."


def _delivered(fields: Fields) -> str:
    where = one_line(str(fields.get("delivered_to") or fields.get("destination") or "the destination"))
    return f"Delivered {_name(fields)} to {where} ({human_size(fields.get('bytes', 0))}), verified."


def _failed(fields: Fields) -> str:
    return f"Could not deliver {_name(fields)}: {one_line(str(fields.get('error', 'no reason is known')))}"


def _progress(fields: Fields) -> str:
    left = fields.get("seconds_left")
    rest = f", about {left:,} s to go" if left else ""
    return (
        f"Sending {_name(fields)}: {fields['percent']:.0f} % of {human_size(fields['bytes'])} at "
        f"{human_size(fields['bytes_per_second'])}/s{rest}."
    )


def _batch_end(fields: Fields) -> str:
    unfinished = f", {fields['unfinished']:,} unfinished" if fields["unfinished"] else ""
    return f"{fields['delivered']:,} delivered, {fields['failed']:,} failed{unfinished}, in {fields['seconds']:,} s."


def _finished(fields: Fields) -> str:
    counts = [(fields.get(name, 0), name) for name in ("delivered", "failed", "unfinished", "not_sent")]
    said = ", ".join(f"{count:,} {name.replace('_', ' ')}" for count, name in counts if count)
    return f"The run has handled {_files(fields.get('files', 0))}{': ' + said if said else ''}."


def _name(fields: Fields) -> str:
    return as_json(fields.get("file", "?"))


_SENTENCES: Mapping[str, Callable[[Fields], str]] = {
    "health_checked": _health,
    "files_detected": _detected,
    "nothing_to_do": _nothing,
    "destination_tested": lambda f: f"The destination was tested. {f['verdict']}",
    "files_late": lambda f: f"Late: {_expected(f)}",
    "files_still_late": lambda f: f"Still late: {_expected(f)}",
    "files_came_late": lambda f: f"Came late: {_expected(f)}",
    "acknowledgements_missing": lambda f: f"Not acknowledged within {f['within']}: {_files(f['files'])}.",
    "acknowledgements_unknown": lambda f: f"The acknowledgements of {_files(f['files'])} could not be looked for.",
    "acknowledgements_came_late": lambda f: f"Acknowledged late: {_files(f['files'])}.",
    "acknowledgements_not_looked_for": lambda f: (
        f"Acknowledgements could not be looked for: {one_line(str(f.get('error')))}"
    ),
    "file_acknowledged": lambda f: f"The recipient has acknowledged {_name(f)}: {one_line(str(f.get('found')))}",
    "key_expires": lambda f: f"A key ends soon. {one_line(str(f.get('says')))}.",
    "late_files_acknowledged": lambda f: (
        f"{f.get('by') or 'Somebody'} acknowledged late files: {one_line(str(f.get('reason')))}"
    ),
    "job_started": lambda f: f"The run takes on {_files(f['files'])}, {human_size(f['bytes'])}.",
    "batch_started": lambda f: f"Sending {_files(f['files'])}, {human_size(f['bytes'])}.",
    "file_progress": _progress,
    "file_resumed": lambda f: f"Resuming {_name(f)}: {human_size(f['there'])} of {human_size(f['bytes'])} are there.",
    "file_delivered": _delivered,
    "file_attempt_failed": _failed,
    "file_failed": _failed,
    "file_interrupted": lambda f: f"Interrupted while sending {_name(f)}; the next try resumes it.",
    "set_completed": lambda f: f"The set is complete: delivered {_name(f)} after its {_files(f['files'])}.",
    "set_not_complete": lambda f: f"No completion file yet: {f['missing']:,} of {_files(f['of'])} are missing.",
    "file_held_for_its_name": lambda f: f"{_name(f)}: {one_line(str(f.get('error')))}",
    "file_held": lambda f: f"{_name(f)} failed earlier and is held: it waits for somebody to solve it.",
    "batch_finished": _batch_end,
    "job_finished": _finished,
    "message_sent": lambda f: f"Told ({f['kind']}): {one_line(f['rule'])}.",
    "message_not_sent": lambda f: (
        f"A message ({f['kind']}) was not sent, and a later run sends it: {one_line(f['error'])}"
    ),
    "message_given_up": lambda f: f"A message ({f['kind']}) is given up after three days: {one_line(f['error'])}",
    "mail_switched_off": lambda _: "E-mails are switched off for this run.",
}
