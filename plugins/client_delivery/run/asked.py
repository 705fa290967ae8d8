"""What the trigger form asked of a run (R9.1): checked as strictly as the YAML, and said back in words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
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
"""What the form calls its pattern."""
_NAMED = 5


def pattern_problem(pattern: str, prefix: str) -> str | None:
    """What is wrong with the form's pattern, in the words that refuse the YAML's patterns; None if nothing."""
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
    pattern: str, place: str, waiting: Sequence[str], held: Sequence[str], *, done_file_missing: bool
) -> str:
    """What to say where a run was asked for files by name and there is none to send.

    ``waiting`` are the names of all files in the pick-up, ``held`` those that match and failed before.
    """
    matching = [name for name in waiting if fnmatchcase(name, pattern)]
    other_case = [name for name in waiting if fnmatchcase(name.lower(), pattern.lower())]
    near = difflib.get_close_matches(pattern, waiting, n=_NAMED)
    if held:
        why = f"Held, because they failed before: {_names(held)}. Tick 'Resend failed files' to send them."
    elif matching and done_file_missing:
        why = f"{_names(matching)} would, but the done file is not there: tick 'Ignore the done file'."
    elif matching:
        why = f"{_names(matching)} would, and are dealt with already."
    elif other_case:
        why = f"Upper and lower case differ; there is {_names(other_case)}."
    elif near:
        why = f"Did you mean {_names(near)}?"
    elif waiting:
        why = f"There wait {len(waiting)} files, such as {_names(waiting)}."
    else:
        why = "Nothing waits there; only files count that the configuration's `include` takes."
    return f"{FIELD}: no file in {place} that could be sent matches {as_json(pattern)}. {why}"


def asked(params: Mapping[str, Any], config: ClientConfig) -> str:
    """What the form asked for beyond the configuration, in words; empty for a run by schedule."""
    words = []
    if params["file_pattern"]:
        words.append(f"only files like {as_json(params['file_pattern'])}")
    if params["resend_failed"]:
        words.append("failed files again")
    if params["bypass_file_checks"] != config.bypass_file_checks:
        words.append("every file, also those sent before" if params["bypass_file_checks"] else "no bypass")
    if params["ignore_done_file"] and config.trigger_on_done_file:
        words.append("without the done file")
    if params["send_notifications"] != config.send_notifications:
        words.append("with e-mails" if params["send_notifications"] else "without e-mails")
    return "; ".join(words)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(map(as_json, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
