"""Conditions that a file must meet before any byte of it is sent: a wrong file cannot be called back."""

from __future__ import annotations

import re
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from client_delivery.config import durations
from client_delivery.config.destinations import Section
from client_delivery.config.patterns import Pattern
from client_delivery.config.refusal import refusal
from client_delivery.config.sizes import ByteSize

_UNITS = {"s": 1, "min": 60, "h": 3600}
_LONGEST_WAIT = 24 * 3600
_PERCENT = r"([0-9]{1,3}) ?%"


def _parse_duration(value: Any) -> timedelta:
    """Seconds, from text such as ``5 min``."""
    return durations.parse(value, _UNITS, example="5 min")


def _check_duration(value: timedelta) -> timedelta:
    if not 1 <= value.total_seconds() <= _LONGEST_WAIT:
        raise refusal("1 s to 24 h")
    return value


def _parse_percent(value: Any) -> Any:
    """A whole number of per cent, from text such as ``50%``."""
    match = re.fullmatch(_PERCENT, value) if isinstance(value, str) else None
    if not match or not 1 <= int(match[1]) <= 999:
        raise refusal("a percentage from 1% to 999%, in quotes, such as '50%'")
    return int(match[1])


def _written(value: timedelta) -> str:
    return f"{int(value.total_seconds())} s"


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    AfterValidator(_check_duration),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string", "pattern": f"^{durations.pattern_of(_UNITS)}$"}),
]
Percent = Annotated[
    int,
    BeforeValidator(_parse_percent),
    PlainSerializer(lambda value: f"{value}%"),
    WithJsonSchema({"type": "string", "pattern": f"^{_PERCENT}$"}),
]


class ExpectedFiles(Section, title="Expected files"):
    """How many files of one kind belong to a set."""

    pattern: Pattern = Field(
        title="Pattern",
        description="Pattern for the names of these files, as in the pick-up's `include`.",
        examples=["members_*.csv"],
    )
    at_least: int = Field(
        default=1,
        ge=0,
        le=100_000,
        strict=True,
        title="At least",
        description="The fewest files that must be there.",
        examples=[1],
    )
    at_most: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        strict=True,
        title="At most",
        description="The most files that may be there. Without it, any number.",
        examples=[1],
    )

    @model_validator(mode="after")
    def _in_order(self) -> ExpectedFiles:
        if self.at_most is not None and self.at_most < self.at_least:
            raise refusal("a number that is not below `at_least`", at=("at_most",))
        return self

    def matches(self, name: str) -> bool:
        """Whether a file of this name is one of them."""
        return fnmatchcase(name, self.pattern)


class GuardsSection(Section, title="Guards"):
    """Conditions that a file must meet to be sent. One that does not is held until a person lets it through."""

    not_empty: bool = Field(default=False, title="Not empty", description="Holds a file of 0 bytes.", examples=[True])
    min_size: ByteSize | None = Field(
        default=None,
        title="Smallest size",
        description="Holds a smaller file. Bytes as a number, or with a unit.",
        examples=["1 KiB"],
    )
    max_size: ByteSize | None = Field(
        default=None,
        title="Largest size",
        description="Holds a larger file. Bytes as a number, or with a unit.",
        examples=["5 GiB"],
    )
    size_within: Percent | None = Field(
        default=None,
        title="Size within",
        description="Holds a file whose size differs by more than this from the median of the latest deliveries of that"
        " name. Digits in a name, such as a date, are ignored. With fewer than three such deliveries it holds nothing.",
        examples=["50%"],
    )
    stable_for: Duration | None = Field(
        default=None,
        title="Stable for",
        description="Leaves a file until it has not changed for this long, for uploads that write it in pieces. The"
        " file is not held: a later run takes it.",
        examples=["5 min"],
    )
    checksum_files: Literal["sha256"] | None = Field(
        default=None,
        title="Checksum files",
        description="`sha256`: each file needs a checksum file beside it. Its name is the file's with `.sha256` added, "
        "and it holds the SHA-256 as `sha256sum` writes it. A file without one, or with a different checksum, "
        "is held. Each file is read one more time than for the delivery alone. Checksum files are delivered "
        "like others, unless `exclude` names them.",
        examples=["sha256"],
    )
    expected_files: Annotated[tuple[ExpectedFiles, ...], Field(strict=False)] = Field(
        default=(),
        max_length=50,
        title="Expected files",
        description="How many files of each kind belong to the set that a done file announces. Holds all files of an"
        " incomplete set. Only with `trigger_on_done_file: true`.",
        examples=[[{"pattern": "members_*.csv", "at_least": 1, "at_most": 1}]],
    )

    @model_validator(mode="after")
    def _sizes_in_order(self) -> GuardsSection:
        if self.min_size is not None and self.max_size is not None and self.max_size < self.min_size:
            raise refusal("a size that is not below `min_size`", at=("max_size",))
        return self

    @property
    def any(self) -> bool:
        """Whether there is any guard."""
        return self != GuardsSection()
