"""Makes a new client's configuration from a commented template (R2.8).

``python -m client_delivery.config.new_client NAME [--destination gcs|sftp|s3]``. What only a person can know is left
empty, so that the file is refused, field by field, until it is filled in: a placeholder that happens to be accepted
would deliver to the wrong place.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from client_delivery.config.check import DEFAULT_DIRECTORY
from client_delivery.config.model import ClientConfig
from client_delivery.config.outline import DESTINATIONS, as_yaml, section_of

_HEADER = """\
# yaml-language-server: $schema=../client_config.schema.json
#
# 1. Fill in every field that has no value. Lines that begin with '# ' and a field's name are optional.
# 2. Run `make check-config`.
# All fields are explained in docs/dextr/configuration.md.
"""
_CHOICES = {"send_notifications": True, "bypass_file_checks": False, "trigger_on_done_file": False}


def template(name: str, destination: str) -> str:
    """The file for a new client called ``name`` whose files go to a ``destination`` of this type."""
    filled = {**_CHOICES, "name": name, "type": destination}
    return _HEADER + "\n".join(_section(ClientConfig, filled, destination, "")) + "\n"


def _section(model: type[BaseModel], filled: Mapping[str, Any], destination: str, indent: str) -> Iterator[str]:
    for field_name, field in model.model_fields.items():
        example = as_yaml(field.examples[0]) if field.examples else ""
        hint = f" Example: {example}" if field.is_required() and field_name not in filled and example else ""
        yield ""
        yield from _comment(f"{field.description}{hint}", indent)
        section = section_of(field_name, destination)
        if section and not field.is_required():
            yield f"{indent}# {field_name}:"
            for name, one in section.model_fields.items():
                yield f"{indent}#   {name}: {as_yaml(one.examples[0]) if one.examples else ''}".rstrip()
        elif section:
            yield f"{indent}{field_name}:"
            yield from _section(section, filled, destination, indent + "  ")
        elif field.is_required():
            yield f"{indent}{field_name}: {as_yaml(filled[field_name]) if field_name in filled else ''}".rstrip()
        else:
            yield f"{indent}# {field_name}: {example}"


def _comment(text: str, indent: str) -> list[str]:
    prefix = f"{indent}# "
    return textwrap.wrap(
        text, 100, initial_indent=prefix, subsequent_indent=prefix, break_long_words=False, break_on_hyphens=False
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; return the exit code."""
    parser = argparse.ArgumentParser(prog="new-client", description="Makes a new client's configuration file.")
    parser.add_argument(
        "name", nargs="?", default="", help="the configuration's name: lower-case letters, digits and '_'"
    )
    parser.add_argument("--destination", choices=list(DESTINATIONS), default="sftp", help="default: %(default)s")
    parser.add_argument("--directory", type=Path, default=DEFAULT_DIRECTORY, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not options.name:
        parser.error("name the client: make new-client NAME=acme DESTINATION=sftp")
    if not re.fullmatch("[a-z][a-z0-9_]{0,99}", options.name):
        parser.error(
            f"the name {options.name!r} is not accepted: lower-case letters, digits and '_', beginning with a letter,"
            " at most 100 characters (without '.yaml')"
        )
    path: Path = options.directory / f"{options.name}.yaml"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template(options.name, options.destination))
    except FileExistsError:
        sys.stderr.write(f"new-client: {path} already exists and was left unchanged. Choose another name.\n")
        return 1
    except FileNotFoundError:
        sys.stderr.write(
            f"new-client: there is no directory {options.directory}. Run this in the project's directory.\n"
        )
        return 1
    sys.stdout.write(f"{path} written. Fill in the empty fields, then run: make check-config\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
