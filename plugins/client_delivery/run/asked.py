"""The trigger form's requests (R9.1): checked as strictly as the YAML, and repeated in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from client_delivery.config.patterns import Pattern, refuse_repeated_prefix
from client_delivery.config.problem import quoted
from client_delivery.runtime.events import as_json

if TYPE_CHECKING:
    from client_delivery.config.model import ClientConfig

FIELD = "Only files like"
"""The form's name for its pattern."""
_NAMED = 5
_COMPARED = 10_000
"""The most names that are searched for a similar one; each takes some microseconds."""


def pattern_problem(pattern: str, prefix: str) -> str | None:
    """The problem with the form's pattern, in the words for the YAML's patterns; None if it is valid."""
    try:
        TypeAdapter(Pattern).validate_python(pattern)
        refuse_repeated_prefix((pattern,), prefix)
    except ValidationError as error:
        refused = error.errors(include_url=False, include_input=False)[0].get("ctx", {})
    except PydanticCustomError as error:
        refused = error.context or {}
    else:
        return None
    hint = f" {refused['hint']}" if refused.get("hint") else ""
    return f"{FIELD}: found {quoted(pattern)}, expected {refused.get('expected', 'a pattern')}.{hint}"


def none_found(
    pattern: str, place: str, waiting: Iterable[str], held: Sequence[str], *, done_file_missing: bool
) -> str:
    """The message if a run was asked for files by name and there is none to send.

    ``waiting`` are the names of all files in the pick-up, ``held`` those that match and failed before.
    """
    matching, other_case, every = _Names(), _Names(), _Names(keep=_COMPARED)
    for name in waiting:
        every.add(name)
        if fnmatchcase(name, pattern):
            matching.add(name)
        if fnmatchcase(name.lower(), pattern.lower()):
            other_case.add(name)
    near = difflib.get_close_matches(pattern, every.first, n=_NAMED)
    if held:
        why = f"Held, because they failed before: {_names(held)}. Tick 'Resend failed files' to send them."
    elif matching and done_file_missing:
        why = f"Waiting for the done file: {matching}. To send without it, tick 'Ignore the done file'."
    elif matching:
        why = f"Handled already: {matching}."
    elif other_case:
        why = f"Names are case-sensitive; there is {other_case}."
    elif near:
        why = f"Did you mean {_names(near)}?"
    elif every:
        why = f"{every.count} file{'' if every.count == 1 else 's'} waiting there, such as {every}."
    else:
        why = "No file waits there that the configuration's `include` takes."
    return f"{FIELD}: no file that could be sent from {place} matches {as_json(pattern)}. {why}"


def asked(params: Mapping[str, Any], config: ClientConfig) -> str:
    """The form's requests beyond the configuration, in words; empty for a run by schedule."""
    words = []
    if params.get("only_test_destination"):
        words.append("only a test of the destination")
    if params.get("only_plan"):
        words.append("only to say what would happen")
    if params["file_pattern"]:
        words.append(f"only files like {as_json(params['file_pattern'])}")
    if again := params.get("send_again"):
        words.append(f"{_files(again)} again")
    if gone := params.get("dismiss"):
        words.append(f"{_files(gone)} dismissed")
    if params["resend_failed"]:
        words.append("failed files again")
    if params["bypass_file_checks"] != config.bypass_file_checks:
        words.append("every file, also those sent before" if params["bypass_file_checks"] else "no bypass")
    if params["ignore_done_file"] and config.trigger_on_done_file:
        words.append("without the done file")
    if params.get("ignore_window") and config.window is not None:
        words.append("outside the window")
    if params.get("acknowledge_late"):
        words.append(f"late files acknowledged: {as_json(params['acknowledge_late'])}")
    if params["send_notifications"] != config.send_notifications:
        words.append("with e-mails" if params["send_notifications"] else "without e-mails")
    return "; ".join(words)


def _files(keys: Sequence[str]) -> str:
    return "1 file" if len(keys) == 1 else f"{len(keys)} files"


class _Names:
    """The number of names, and the first of them: a pick-up may hold a million."""

    def __init__(self, keep: int = _NAMED) -> None:
        self.count = 0
        self.first: list[str] = []
        self._keep = keep

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.first) < self._keep:
            self.first.append(name)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        return _names(self.first, self.count)


def _names(names: Sequence[str], count: int | None = None) -> str:
    more = (len(names) if count is None else count) - _NAMED
    return ", ".join(map(as_json, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
