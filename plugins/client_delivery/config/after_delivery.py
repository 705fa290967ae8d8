"""What becomes of a file in the pick-up once its delivery is verified (R5.8): a word, or where it is archived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from client_delivery.config.places import MAX_PREFIX_BYTES, check_pickup_prefix
from client_delivery.config.problem import quoted
from client_delivery.config.refusal import refusal

Word = Literal["next_run", "delete", "keep"]
_WORDS = get_args(Word)
_ACCEPTED = f"one of {', '.join(_WORDS)}, or `archive:` with a prefix"


class Archive(BaseModel):
    """Where delivered files are kept."""

    model_config = ConfigDict(frozen=True)

    archive: str
    """A prefix in the pick-up's bucket; ends with ``/``, and lies outside every pick-up."""


def _check(value: Any) -> Word | Archive:
    if isinstance(value, str) and value in _WORDS:
        return cast("Word", value)
    if not isinstance(value, Mapping):
        raise refusal(_ACCEPTED, "Write for example `after_delivery: delete`.")
    if set(value) != {"archive"} or not isinstance(value["archive"], str):
        raise refusal("`archive:` with a prefix, and nothing else", "Write for example `archive: acme-sent/`.")
    try:
        return Archive(archive=check_pickup_prefix(value["archive"]))
    except PydanticCustomError as error:
        told = error.context or {}
        found = told.get("found") or quoted(value["archive"])
        raise refusal(told["expected"], told["hint"], found=found, at=("archive",)) from error


_ARCHIVE_SCHEMA = {
    "type": "object",
    "properties": {"archive": {"type": "string", "pattern": "^[^/].*/$", "maxLength": MAX_PREFIX_BYTES}},
    "required": ["archive"],
    "additionalProperties": False,
}

AfterDelivery = Annotated[
    Word | Archive,
    PlainValidator(_check),
    PlainSerializer(lambda value: value if isinstance(value, str) else value.model_dump()),
    WithJsonSchema({"anyOf": [{"enum": list(_WORDS)}, _ARCHIVE_SCHEMA]}),
]
