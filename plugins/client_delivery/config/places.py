"""Where files lie: prefixes in a bucket, a directory on an SFTP server."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from client_delivery.config.placeholders import refuse_placeholder
from client_delivery.config.problem import write
from client_delivery.config.refusal import refusal

MAX_PREFIX_BYTES = 512
"""Half of the 1,024 bytes that a key may have in S3 and GCS: the other half is for the files' own names."""


def _check_prefix(value: str) -> str:
    if re.match("(?:s3|gs)://", value):
        raise refusal("a prefix without the bucket", write(value.split("/", 3)[3]) if value.count("/") > 3 else "")
    if not value.isprintable():
        raise refusal("a prefix without control or invisible characters", "Type it again instead of pasting it.")
    if "\\" in value:
        raise refusal("a prefix with '/' between its parts", write(value.replace("\\", "/")))
    refuse_placeholder(value, "a literal prefix")
    if any(c in value for c in "*?{}"):
        raise refusal(
            "a literal prefix without '*', '?', '{' or '}'",
            "Nothing is filled in or expanded here; patterns for files' names belong in the pick-up's `include`.",
        )
    if value.startswith("/"):
        raise refusal("a prefix that does not begin with '/'", write(value.lstrip("/")) if value.strip("/") else "")
    if value != value.strip():
        raise refusal("a prefix without spaces around it", write(value.strip()))
    if not value.endswith("/"):
        raise refusal("a prefix that ends with '/'", write(value + "/"))
    if "//" in value:
        raise refusal("a prefix without '//'", write(re.sub("/+", "/", value)))
    if any(part in (".", "..") for part in value.split("/")):
        raise refusal("a prefix without '.' and '..'", "S3 and GCS have no relative paths.")
    if len(value.encode()) > MAX_PREFIX_BYTES:
        raise refusal(f"a prefix of at most {MAX_PREFIX_BYTES} bytes")
    return value


def check_pickup_prefix(value: str) -> str:
    """A prefix that is not the bucket's top. Raises a refusal."""
    if value == "":
        raise refusal(
            "a prefix that ends with '/'",
            "A whole bucket cannot be a pick-up: files are deleted from it after delivery. Use a separate prefix.",
        )
    return _check_prefix(value)


def _check_destination_prefix(value: str) -> str:
    return _check_prefix(value) if value else value


PickupPrefix = Annotated[
    str,
    AfterValidator(check_pickup_prefix),
    WithJsonSchema({"type": "string", "pattern": "^[^/].*/$", "maxLength": MAX_PREFIX_BYTES}),
]
DestinationPrefix = Annotated[
    str,
    AfterValidator(_check_destination_prefix),
    WithJsonSchema({"type": "string", "pattern": "^([^/].*/)?$", "maxLength": MAX_PREFIX_BYTES}),
]


def overlap(prefix: str, other: str) -> bool:
    """Whether one prefix contains the other."""
    return prefix.startswith(other) or other.startswith(prefix)


def _check_directory(value: str) -> str:
    if value == "":
        raise refusal("a directory", "Write '.' for the directory that the server shows after login.")
    if not value.isprintable():
        raise refusal("a directory without control or invisible characters", "Type it again instead of pasting it.")
    if "\\" in value:
        raise refusal("a directory with '/' between its parts", write(value.replace("\\", "/")))
    if value.startswith("~"):
        raise refusal(
            "a directory without '~'",
            "SFTP does not expand '~'; a path without '/' at its start is relative to the login directory already.",
        )
    refuse_placeholder(value, "a literal directory")
    if value != value.strip():
        raise refusal("a directory without spaces around it", write(value.strip()) if value.strip() else "")
    parts = [part for part in value.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refusal("a directory without '..'", "Write the path that it leads to.")
    if len(value.encode()) > 1024:
        raise refusal("a directory of at most 1024 bytes")
    return ("/" if value.startswith("/") else "") + "/".join(parts) or "."


Directory = Annotated[
    str, AfterValidator(_check_directory), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 1024})
]
"""Without a ``/`` at its end, except for ``/`` itself; ``.`` is the login directory."""
