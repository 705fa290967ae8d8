"""What the model refuses, in terms of the file: where, what was found, what is accepted, what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from client_delivery.config.document import Document, FieldPath
from client_delivery.config.guards import ExpectedFiles, GuardsSection
from client_delivery.config.model import ClientConfig
from client_delivery.config.notify import NotifyRule
from client_delivery.config.outline import DESTINATIONS, as_yaml, default_of, section_of
from client_delivery.config.pickup import PickupSection
from client_delivery.config.problem import shown, write
from client_delivery.config.refusal import REFUSED
from client_delivery.config.treatment import EncryptSection

# What people write when they do not remember a field's name, and difflib would not find.
_OTHER_NAMES = {
    "acls": "acl",
    "bandwidth": "max_bytes_per_second",
    "bypass": "bypass_file_checks",
    "bucket_name": "bucket",
    "bus": "event_bus",
    "client": "client_h_number",
    "client_id": "client_h_number",
    "client_number": "client_h_number",
    "compression": "compress",
    "conn_id": "connection_id",
    "connection": "connection_id",
    "channel": "via",
    "cron": "schedule",
    "dest": "destination",
    "dir": "directory",
    "disabled": "paused",
    "done_file": "trigger_on_done_file",
    "email": "contacts",
    "emails": "contacts",
    "events": "on",
    "encryption": "encrypt",
    "filter": "include",
    "folder": "prefix",
    "h_number": "client_h_number",
    "hostname": "host",
    "known_hosts": "host_keys",
    "kms": "kms_key",
    "login": "username",
    "mode": "file_mode",
    "notifications": "send_notifications",
    "path": "directory",
    "pattern": "include",
    "patterns": "include",
    "permissions": "file_mode",
    "pgp": "encrypt",
    "recipients": "contacts",
    "remote_directory": "directory",
    "role": "role_arn",
    "server": "host",
    "source": "pickup",
    "target": "destination",
    "topic": "topic_arn",
    "threshold": "offload_threshold",
    "user": "username",
    "on_arrival": "trigger",
    "trigger_on_arrival": "trigger",
}
_BOOLEAN_WORDS = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}
_TYPES = {"string_type": "text", "bool_type": "true or false", "int_type": "a whole number", "tuple_type": "a list"}


def report_refusals(document: Document, error: ValidationError) -> None:
    """Add what the model says of ``document`` to its problems, except for fields that have been dealt with."""
    for detail in error.errors(include_url=False, include_input=False):
        kind, context, path = detail["type"], detail.get("ctx", {}), _without_tag(detail["loc"])
        if kind == REFUSED:
            path += tuple(context["at"])
        elif kind == "union_tag_invalid":
            path += ("type",)
        value = _value_at(document.data, path)
        follows_from_another = kind == "too_short" and value  # its items have been refused, each for itself
        if not follows_from_another and not document.is_refused(path):
            document.report(path, *_explain(kind, context, path, value, document))


def report_empty(document: Document) -> None:
    """Add to the problems each optional field that was left empty: it may have been meant to be filled in.

    Of a field that there must be, and of one that takes no null, the model says it.
    """
    for path in document.empty:
        _, field = _field_at(document.data, path)
        if field is None or field.is_required() or (field.default is not None and path != ("schedule",)):
            continue
        hint = "Leave the line out, or fill it in."
        if path == ("schedule",):
            hint = f"Leave the line out for the default, '{field.default}', or write null for runs by hand only."
        document.report(path, "nothing", "a value", hint)
        document.refused.add(path)


def _explain(
    kind: str, context: Mapping[str, Any], path: FieldPath, value: Any, document: Document
) -> tuple[str, str, str]:
    """What was found, what is expected, and a hint."""
    numeral = document.numerals.get(path)
    found, expected, hint = numeral or shown(value), _TYPES.get(kind, "fields of its own, indented below it"), ""
    section, field = _field_at(document.data, path)
    match kind:
        case "refused":
            found, expected, hint = context["found"] or found, context["expected"], context["hint"]
        case "extra_forbidden":
            accepted = list(section.model_fields)
            found, expected, hint = "an unknown field", _one_of(accepted), _hint_for_unknown(path, accepted)
        case "union_tag_not_found":
            found, expected, hint = "no `type`", _one_of(DESTINATIONS), "Add a line such as `type: gcs` to it."
        case "union_tag_invalid":
            expected, hint = _one_of(DESTINATIONS), _near(value, list(DESTINATIONS))
        case _ if field and value is None:
            expected, hint = _explain_absence(kind, path, field)
        case "literal_error":
            accepted = re.findall("'([^']*)'", context["expected"])
            expected, hint = _one_of(accepted), _near(value, accepted)
        case "greater_than_equal" | "less_than_equal" if field:
            low, high = (next(getattr(m, end) for m in field.metadata if hasattr(m, end)) for end in ("ge", "le"))
            expected = f"a number from {low} to {high}"
        case "too_short":
            found, expected = "an empty list", "at least one item"
            hint = "" if field is None or field.is_required() else _LEAVE_OUT
        case "too_long":
            found, expected = f"{len(value)} items", f"at most {context['max_length']}"
        case _:
            hint = _hint_for_type(kind, value, numeral)
    return found, expected, hint


def _one_of(accepted: Iterable[str]) -> str:
    return f"one of {', '.join(accepted)}"


_LEAVE_OUT = "Leave the line out for the default."


def _explain_absence(kind: str, path: FieldPath, field: FieldInfo) -> tuple[str, str]:
    if not field.is_required():
        return _TYPES.get(kind, "a value"), f"Leave the line out for the default, {as_yaml(default_of(field))}."
    if field.examples:
        return "a value", f"{field.description} Example: `{path[-1]}: {as_yaml(field.examples[0])}`."
    return "fields of its own, indented below it", field.description or ""


def _hint_for_type(kind: str, value: Any, numeral: str | None) -> str:
    hint = ""
    match kind, value:
        case "string_type", bool() | int() | float():
            hint = f'Put it in quotes: "{numeral or shown(value)}".'
        case "string_type", list():
            hint = "Write it after the field's name, without '-' or brackets."
        case "bool_type", str() if value.lower() in _BOOLEAN_WORDS:
            hint = f"Write {_BOOLEAN_WORDS[value.lower()]}, without quotes."
        case "int_type", str() if re.fullmatch("[0-9]{1,9}", value):
            hint = f"Write {int(value)}, without quotes."
        case "tuple_type", _:
            hint = "Write each item on a separate line below the field, as `- item`."
    return hint


def _hint_for_unknown(path: FieldPath, accepted: Sequence[str]) -> str:
    name = str(path[-1])
    if homes := [home for home, fields in _sections().items() if name in fields]:
        return f"This field belongs {' or '.join(homes)}."
    plain = re.sub("[- ]+", "_", re.sub("(?<=[a-z])(?=[A-Z])", "_", name)).lower()
    if plain in accepted:
        return f"Did you mean `{plain}`?"
    if _OTHER_NAMES.get(plain) in accepted:
        return f"Did you mean `{_OTHER_NAMES[plain]}`?"
    near = difflib.get_close_matches(plain[:100], accepted, n=1)
    return f"Did you mean `{near[0]}`?" if near else ""


def _sections() -> dict[str, Sequence[str]]:
    return {
        "at the top level": list(ClientConfig.model_fields),
        "under `pickup`": list(PickupSection.model_fields),
        "under `encrypt`": list(EncryptSection.model_fields),
        **{f"under a `destination` of type {kind}": list(model.model_fields) for kind, model in DESTINATIONS.items()},
    }


def _near(value: Any, accepted: Sequence[str]) -> str:
    """A hint if ``value`` was meant to be one of ``accepted``."""
    if not isinstance(value, str):
        return ""
    by_plain_name = {name.lower().replace("-", "_"): name for name in accepted}
    near = difflib.get_close_matches(value[:100].lower().replace("-", "_").replace(" ", "_"), by_plain_name, n=1)
    return write(by_plain_name[near[0]]) if near else ""


def _without_tag(location: tuple[str | int, ...]) -> FieldPath:
    """The path in the file: pydantic puts the destination's type between ``destination`` and its fields."""
    if location[0] == "destination" and len(location) > 1:
        return (location[0], *location[2:])
    return location


def _value_at(data: Any, path: FieldPath) -> Any:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data


def _field_at(data: dict[str, Any], path: FieldPath) -> tuple[type[BaseModel], FieldInfo | None]:
    """The section that ``path`` ends in, and the field that it names, if it names one and not a list's item."""
    section: type[BaseModel] = ClientConfig
    inside = path
    if len(path) > 1 and path[0] in ("pickup", "destination", "guards", "completion_file", "encrypt"):
        section, inside = section_of(path[0], _value_at(data, (path[0], "type"))) or section, path[1:]
    if section is GuardsSection and len(inside) > 2 and inside[0] == "expected_files":
        section, inside = ExpectedFiles, inside[2:]
    if len(path) > 2 and path[0] == "notify":
        section, inside = NotifyRule, path[2:]
    return section, section.model_fields.get(str(inside[0])) if len(inside) == 1 else None
