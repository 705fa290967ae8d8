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
        description="What it is called: a template as in `deliver_as`, of the fields `client`, `feed`, `date`,"
        " `sequence` and `daily_sequence`; the last two count sets.",
        examples=["{client}_{date:%Y%m%d}_{daily_sequence:02}.complete"],
    )
    content: Literal["empty", "names", "csv", "json"] = Field(
        default="empty",
        title="Content",
        description="`empty`: none. `names`: the name of each file, one a line. `csv`, `json`: a manifest with name,"
        " size and SHA-256 of each file, their number and total size. The SHA-256 is that of the bytes at the"
        " destination; it costs one more reading of each file, while it is sent.",
        examples=["json"],
    )
    to_contacts: bool = Field(
        default=False,
        title="To the contacts",
        description="Attaches what is in it to the 'Job finished' e-mail of the run that completes the set, as a proof"
        " of delivery; not if it has more than 3 MB.",
        examples=[True],
    )
