"""The sections of a configuration and their fields, as the model has them: for messages, template and reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from client_delivery.config.companions import CompletionFile
from client_delivery.config.guards import GuardsSection
from client_delivery.config.model import GcsSection, S3Section, SftpSection
from client_delivery.config.pickup import PickupSection
from client_delivery.config.treatment import EncryptSection

DESTINATIONS: Mapping[str, type[BaseModel]] = {"gcs": GcsSection, "sftp": SftpSection, "s3": S3Section}
"""By the value of ``destination.type``."""


class _Dumper(yaml.SafeDumper):
    """Writes YAML 1.2 as our loader reads it: there ``on`` is a word like any other."""


_Dumper.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not (tag.endswith(":bool") and first in "oO")]
    for first, resolvers in yaml.SafeDumper.yaml_implicit_resolvers.items()
}


def section_of(name: str | int, destination_type: Any) -> type[BaseModel] | None:
    """The model of the section under the top-level field ``name``, or None if it is not one (or of no known type)."""
    if name == "pickup":
        return PickupSection
    if name == "guards":
        return GuardsSection
    if name == "completion_file":
        return CompletionFile
    if name == "encrypt":
        return EncryptSection
    return DESTINATIONS.get(destination_type) if name == "destination" and isinstance(destination_type, str) else None


def default_of(field: FieldInfo) -> Any:
    """The field's default as a YAML file has it: lists, not tuples."""
    return list(field.default) if isinstance(field.default, tuple) else field.default


def as_yaml(value: Any) -> str:
    """``value`` as it stands after ``field:`` on one line, in quotes where YAML needs them."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
