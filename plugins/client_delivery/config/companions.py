"""What arrives beside the files: a checksum file for each, and one file that says that a set is complete."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from client_delivery.config.destinations import Section
from client_delivery.config.name_template import (
    DATED,
    MOST_CHARACTERS,
    SEQUENCES,
    NameTemplate,
    check,
)
from client_delivery.config.refusal import refusal

Algorithm = Literal["sha256", "md5"]
OF_SETS = ("client", "feed", *DATED[:1], *SEQUENCES)
"""Fields of a completion file's name: what is the same for a whole set."""


def _check_name(value: str) -> str:
    check(value, {}, of=OF_SETS)
    if any(part in ("", ".", "..") for part in value.split("/")):
        raise refusal("a name that stays at the destination", "Leave out '/' at its ends, '.' and '..'.")
    return value


class CompletionFile(Section, title="Completion file"):
    """The file that tells the recipient that a set has arrived."""

    name: Annotated[NameTemplate, AfterValidator(_check_name)] = Field(
        max_length=MOST_CHARACTERS,
        title="Name",
        description="The file's name: a template as in `deliver_as`, with the fields `client`, `feed`, `date`, "
        "`sequence` and `daily_sequence`. The last two count sets.",
        examples=["{client}_{date:%Y%m%d}_{daily_sequence:02}.complete"],
    )
    content: Literal["empty", "names", "csv", "json"] = Field(
        default="empty",
        title="Content",
        description="`empty`: no content. `names`: the name of each file, one per line. `csv`, `json`: a manifest with "
        "name, size and SHA-256 of each file, their number and total size. The SHA-256 is that of the bytes "
        "at the destination; to compute it, each file is read one more time, while it is sent.",
        examples=["json"],
    )
    to_contacts: bool = Field(
        default=False,
        title="To the contacts",
        description="Attaches the content to the 'Job finished' e-mail of the run that completes the set, as proof of "
        "delivery, unless it has more than 3 MB.",
        examples=[True],
    )
